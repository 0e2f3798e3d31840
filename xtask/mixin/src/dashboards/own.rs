//! The dashboard of callmeter itself: accounts, outputs, journal.

use serde_json::Value;

use super::parts::{ACCOUNT, graph, stat};
use crate::names::UnknownFamily;
use crate::panels::Board;

pub(super) fn board() -> Result<Value, UnknownFamily> {
    let mut board = Board::new();
    for panel in [
        stat(
            "Accounts up",
            "",
            "short",
            &[("sum(one({Up}{account=~\"$account\"}))", "up")],
        ),
        stat(
            "Days that may miss calls",
            "",
            "short",
            &[("sum(one({DaysIncomplete}{account=~\"$account\"}))", "days")],
        ),
        stat("Outputs up", "", "short", &[("sum(one({OutputUp}))", "up")]),
        stat(
            "Journal",
            "",
            "percentunit",
            &[("one({JournalBytes} / {JournalLimit})", "of its limit")],
        ),
        stat(
            "Configuration",
            "1: the last load succeeded.",
            "short",
            &[("min({ConfigReloadSuccessful})", "loaded")],
        ),
        stat(
            "Series",
            "",
            "short",
            &[(
                "sum(scrape_samples_scraped and on (job, instance) ({Ready} or {Polls}))",
                "series",
            )],
        ),
        graph(
            "Accounts",
            "1: up.",
            "short",
            &[("one({Up}{account=~\"$account\"})", "{{account}}")],
        ),
        graph(
            "Complete until",
            "How long ago the time is before which no call is missing.",
            "s",
            &[(
                "time() - one({CompleteUntil}{account=~\"$account\"})",
                "{{account}}",
            )],
        ),
        graph(
            "Waiting calls",
            "Calls that have not settled.",
            "short",
            &[("one({CallsWaiting}{account=~\"$account\"})", "{{account}}")],
        ),
        graph(
            "Budget of requests",
            "Share of the requests for calls that are allowed: used in the last hour, and needed.",
            "percentunit",
            &[
                (
                    "one({CallsBudgetUsed}{account=~\"$account\"})",
                    "{{account}} used",
                ),
                (
                    "one({CallsBudgetNeeded}{account=~\"$account\"})",
                    "{{account}} needed",
                ),
            ],
        ),
        graph(
            "Requests by outcome",
            "A second.",
            "reqps",
            &[(
                "sum by (account, outcome) (rate({ApiRequests}{account=~\"$account\"}[$__rate_interval]))",
                "{{account}} {{outcome}}",
            )],
        ),
        graph(
            "Duration of requests, 95 %",
            "",
            "s",
            &[(
                "histogram_quantile(0.95, sum by (account, operation, le) (rate({ApiRequestDuration}_bucket{account=~\"$account\"}[$__rate_interval])))",
                "{{account}} {{operation}}",
            )],
        ),
        graph(
            "Failing tasks",
            "Why the last polls failed.",
            "short",
            &[(
                "max by (account, task, reason) ({TaskFailing}{account=~\"$account\"})",
                "{{account}} {{task}} {{reason}}",
            )],
        ),
        graph(
            "Failed polls",
            "",
            "short",
            &[(
                "sum by (account, task, reason) (increase({PollFailures}{account=~\"$account\"}[1h])) > 0",
                "{{account}} {{task}} {{reason}}",
            )],
        ),
        graph(
            "Records",
            "New, edited, late and unreadable, an hour.",
            "short",
            &[
                (
                    "sum by (account) (one(increase({CallRecordsRevised}{account=~\"$account\"}[1h])))",
                    "{{account}} edited",
                ),
                (
                    "sum by (account) (increase({CallRecordsLate}{account=~\"$account\"}[1h]))",
                    "{{account}} late",
                ),
                (
                    "sum by (account) (increase({RecordsUnreadable}{account=~\"$account\"}[1h]))",
                    "{{account}} unreadable",
                ),
            ],
        ),
        graph(
            "Output lag",
            "Records that an output has not acknowledged.",
            "short",
            &[("one({OutputLag})", "{{output}} {{stream}}")],
        ),
        graph(
            "Delivered",
            "Records a second.",
            "short",
            &[(
                "sum by (output, stream) (rate({OutputDelivered}[$__rate_interval]))",
                "{{output}} {{stream}}",
            )],
        ),
        graph(
            "Dropped",
            "Records an hour.",
            "short",
            &[(
                "sum by (output, stream, reason) (increase({OutputDropped}[1h]))",
                "{{output}} {{stream}} {{reason}}",
            )],
        ),
        graph(
            "Journal",
            "",
            "bytes",
            &[
                ("one({JournalBytes})", "size"),
                ("one({JournalLimit})", "limit"),
            ],
        ),
        graph(
            "Duration of commits, 95 %",
            "",
            "s",
            &[(
                "histogram_quantile(0.95, sum by (le) (rate({JournalAppendDuration}_bucket[$__rate_interval])))",
                "95 %",
            )],
        ),
        graph(
            "Clock skew",
            "How far the server's clock is ahead.",
            "s",
            &[(
                "{ClockSkew}{account=~\"$account\"}",
                "{{account}} {{instance}}",
            )],
        ),
        graph(
            "Work by instance",
            "With a journal on a server: what each instance holds, and what nobody does.",
            "short",
            &[
                (
                    "sum by (instance, kind) ({Leases}{held=\"here\"})",
                    "{{instance}} {{kind}}",
                ),
                (
                    "max by (kind) ({Leases}{held=\"nobody\"})",
                    "nobody {{kind}}",
                ),
            ],
        ),
        graph(
            "Behind the journal",
            "With a journal on a server: how long ago the totals of an instance had all of it.",
            "s",
            &[("time() - {JournalFollowed}", "{{instance}}")],
        ),
    ] {
        board.add(&panel)?;
    }
    board.finish("callmeter-self", "callmeter / callmeter itself", &[ACCOUNT])
}
