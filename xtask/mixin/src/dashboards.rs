//! The dashboards: service, allowances and spend, callmeter itself.

use serde_json::Value;

use crate::names::UnknownFamily;
use crate::panels::{Board, Panel};
use crate::rules::THRESHOLD_SECONDS;

const ACCOUNT: (&str, &str) = ("account", "label_values({Up}, account)");
const CENTER: (&str, &str) = (
    "center",
    "label_values({CallAnswer}_count{account=~\"$account\"}, center_id)",
);
const CLIENT: (&str, &str) = (
    "client",
    "label_values({Calls}{account=~\"$account\"}, client_id)",
);

/// All dashboards, by the names of their files.
///
/// # Errors
/// If a query names a family that does not exist.
pub fn all() -> Result<Vec<(&'static str, Value)>, UnknownFamily> {
    Ok(vec![
        ("service", service()?),
        ("allowances", allowances()?),
        ("callmeter", callmeter()?),
    ])
}

const STAT: (u64, u64) = (4, 4);
const HALF: (u64, u64) = (12, 8);
const FULL: (u64, u64) = (24, 9);

fn graph<'a>(
    title: &'a str,
    description: &'a str,
    unit: &'a str,
    queries: &'a [(&'a str, &'a str)],
) -> Panel<'a> {
    Panel {
        kind: "timeseries",
        title,
        description,
        unit,
        size: HALF,
        queries,
    }
}

fn stat<'a>(
    title: &'a str,
    description: &'a str,
    unit: &'a str,
    queries: &'a [(&'a str, &'a str)],
) -> Panel<'a> {
    Panel {
        kind: "stat",
        size: STAT,
        ..graph(title, description, unit, queries)
    }
}

fn service() -> Result<Value, UnknownFamily> {
    let mut board = Board::new();
    let in_time = format!(
        "Incoming calls answered within {THRESHOLD_SECONDS} s, of those that were offered. Calls that rang only shortly are left out."
    );
    for panel in [
        stat(
            "Calls in the last hour",
            "",
            "short",
            &[(
                "sum(account:callmeter_calls:increase1h{account=~\"$account\"})",
                "calls",
            )],
        ),
        stat(
            "Service level",
            &in_time,
            "percentunit",
            &[(
                "sum(account:callmeter_service_level:ratio1h{account=~\"$account\"} * account:callmeter_offered:increase1h) / sum(account:callmeter_offered:increase1h{account=~\"$account\"} > 0)",
                "service level",
            )],
        ),
        stat(
            "Abandoned",
            "Incoming calls that nobody answered, of those that were offered.",
            "percentunit",
            &[(
                "sum(account:callmeter_abandoned:ratio1h{account=~\"$account\"} * account:callmeter_offered:increase1h) / sum(account:callmeter_offered:increase1h{account=~\"$account\"} > 0)",
                "abandoned",
            )],
        ),
        stat(
            "Speed of answer",
            "Mean ring time of answered incoming calls.",
            "s",
            &[(
                "avg(account:callmeter_answer_seconds:mean1h{account=~\"$account\"})",
                "mean",
            )],
        ),
        stat(
            "Speed of answer, 95 %",
            "95 % of answered incoming calls rang no longer.",
            "s",
            &[(
                "max(account:callmeter_answer_seconds:p95_1h{account=~\"$account\"})",
                "95 %",
            )],
        ),
        stat(
            "Flagged in the last day",
            "",
            "short",
            &[(
                "sum(increase({CallsFlagged}{account=~\"$account\", client_id=~\"$client\"}[1d]))",
                "flagged",
            )],
        ),
        graph(
            "Calls an hour by direction",
            "",
            "short",
            &[(
                "sum by (direction) (increase({Calls}{account=~\"$account\", center_id=~\"$center\", client_id=~\"$client\"}[1h]))",
                "{{direction}}",
            )],
        ),
        graph(
            "Service level by center",
            &in_time,
            "percentunit",
            &[(
                "account_center:callmeter_service_level:ratio1h{account=~\"$account\", center_id=~\"$center\"}",
                "{{account}} {{center_id}}",
            )],
        ),
        graph(
            "Abandoned by center",
            "",
            "percentunit",
            &[(
                "account_center:callmeter_abandoned:ratio1h{account=~\"$account\", center_id=~\"$center\"}",
                "{{account}} {{center_id}}",
            )],
        ),
        graph(
            "Speed of answer by center",
            "Mean and 95 %.",
            "s",
            &[
                (
                    "account_center:callmeter_answer_seconds:mean1h{account=~\"$account\", center_id=~\"$center\"}",
                    "{{center_id}} mean",
                ),
                (
                    "account_center:callmeter_answer_seconds:p95_1h{account=~\"$account\", center_id=~\"$center\"}",
                    "{{center_id}} 95 %",
                ),
            ],
        ),
        graph(
            "Calls an hour by center",
            "",
            "short",
            &[(
                "account_center:callmeter_calls:increase1h{account=~\"$account\", center_id=~\"$center\"}",
                "{{account}} {{center_id}}",
            )],
        ),
        Panel {
            kind: "bargauge",
            ..graph(
                "Clients with the most calls in the last hour",
                "",
                "short",
                &[(
                    "topk(15, account_client:callmeter_calls:increase1h{account=~\"$account\", client_id=~\"$client\"} > 0)",
                    "{{client_id}}",
                )],
            )
        },
        graph(
            "Service level by client",
            "Only with `metrics.client_histograms`.",
            "percentunit",
            &[(
                "account_client:callmeter_service_level:ratio1h{account=~\"$account\", client_id=~\"$client\"}",
                "{{client_id}}",
            )],
        ),
        graph(
            "Ring times of abandoned calls",
            "How long callers wait.",
            "s",
            &[(
                "histogram_quantile(0.5, sum by (le) (increase({CallAbandon}_bucket{account=~\"$account\", center_id=~\"$center\", direction=\"incoming\"}[1h])))",
                "median",
            )],
        ),
    ] {
        board.add(&panel)?;
    }
    // A row for each hour: PromQL has no other way to a table of days and hours.
    let hours: Vec<(String, String)> = (0..24)
        .map(|hour| {
            let query = format!(
                "sum(account:callmeter_calls:increase1h{{account=~\"$account\"}}) and on () hour() == {hour}"
            );
            (query, format!("{hour:02}"))
        })
        .collect();
    let hours: Vec<(&str, &str)> = hours
        .iter()
        .map(|(query, hour)| (query.as_str(), hour.as_str()))
        .collect();
    board.add(&Panel {
        kind: "heatmap",
        size: FULL,
        ..graph(
            "Calls by hour of the day",
            "Hours in UTC. Choose a time span of a week.",
            "short",
            &hours,
        )
    })?;
    board.finish(
        "callmeter-service",
        "callmeter / Service",
        &[ACCOUNT, CENTER, CLIENT],
    )
}

fn allowances() -> Result<Value, UnknownFamily> {
    let mut board = Board::new();
    for panel in [
        stat(
            "Clients that will exceed",
            "Clients whose forecast is above their allowance.",
            "short",
            &[(
                "sum(account:callmeter_allowance_forecast_over:count{account=~\"$account\"})",
                "clients",
            )],
        ),
        stat(
            "Clients that exceeded",
            "",
            "short",
            &[(
                "sum({AllowanceUsedRatio}{account=~\"$account\", client_id=~\"$client\"} > bool 1)",
                "clients",
            )],
        ),
        stat(
            "Period elapsed",
            "",
            "percentunit",
            &[(
                "max({AllowancePeriodElapsedRatio}{account=~\"$account\"})",
                "elapsed",
            )],
        ),
        stat(
            "Balance",
            "Of the tenants at PortSIP.",
            "short",
            &[(
                "sum by (account, currency) ({PortsipBalance}{account=~\"$account\"})",
                "{{account}} {{currency}}",
            )],
        ),
        Panel {
            kind: "table",
            size: (24, 12),
            ..graph(
                "Clients",
                "Share of the allowance that is used, share of the period that has passed, and the share that will be used at its end.",
                "short",
                &[
                    (
                        "max by (account, client_id) ({AllowanceUsedRatio}{account=~\"$account\", client_id=~\"$client\"})",
                        "used",
                    ),
                    (
                        "max by (account, client_id) ({AllowanceForecastRatio}{account=~\"$account\", client_id=~\"$client\"})",
                        "forecast",
                    ),
                    (
                        "max by (account, client_id) ({AllowanceUsedRatio}{account=~\"$account\", client_id=~\"$client\"} * 0 + on (account) group_left () {AllowancePeriodElapsedRatio})",
                        "elapsed",
                    ),
                    (
                        "max by (account, client_id) ({AllowanceLimitCalls}{account=~\"$account\", client_id=~\"$client\"})",
                        "limit (calls)",
                    ),
                    (
                        "max by (account, client_id) ({AllowanceUsedCalls}{account=~\"$account\", client_id=~\"$client\"})",
                        "used (calls)",
                    ),
                    (
                        "max by (account, client_id) ({AllowanceLimitSeconds}{account=~\"$account\", client_id=~\"$client\"} / 60)",
                        "limit (minutes)",
                    ),
                    (
                        "max by (account, client_id) ({AllowanceUsedSeconds}{account=~\"$account\", client_id=~\"$client\"} / 60)",
                        "used (minutes)",
                    ),
                    (
                        "max by (account, client_id, client_name) ({ClientInfo}{account=~\"$account\", client_id=~\"$client\"})",
                        "client",
                    ),
                ],
            )
        },
        Panel {
            kind: "bargauge",
            ..graph(
                "Highest forecasts",
                "Above 100 %, the allowance will be exceeded.",
                "percentunit",
                &[(
                    "topk(15, {AllowanceForecastRatio}{account=~\"$account\", client_id=~\"$client\"})",
                    "{{client_id}}",
                )],
            )
        },
        graph(
            "Used share",
            "",
            "percentunit",
            &[(
                "topk(15, {AllowanceUsedRatio}{account=~\"$account\", client_id=~\"$client\"})",
                "{{client_id}}",
            )],
        ),
        graph(
            "Balance",
            "",
            "short",
            &[(
                "{PortsipBalance}{account=~\"$account\"}",
                "{{account}} {{currency}}",
            )],
        ),
        graph(
            "Mean price per minute",
            "",
            "short",
            &[(
                "{CallRatePrice}{account=~\"$account\", aggregate=\"mean\", interval=\"first\"}",
                "{{rate_type}} {{currency}}",
            )],
        ),
        graph(
            "Rates in the deck",
            "",
            "short",
            &[(
                "{CallRates}{account=~\"$account\"}",
                "{{account}} {{rate_type}}",
            )],
        ),
        graph(
            "Changes of rates",
            "",
            "short",
            &[(
                "sum by (account, change) (increase({CallRatesChanged}{account=~\"$account\"}[1h]))",
                "{{account}} {{change}}",
            )],
        ),
        graph(
            "Calls billed and not counted, or the reverse",
            "Calls that the balance bills minus calls that callmeter counted.",
            "short",
            &[(
                "topk(10, abs({CallsReconciliationDifference}{account=~\"$account\", client_id=~\"$client\"}))",
                "{{client_id}}",
            )],
        ),
        graph(
            "Talk time an hour",
            "",
            "s",
            &[(
                "topk(15, sum by (client_id) (increase({ClientTalk}{account=~\"$account\", client_id=~\"$client\"}[1h])))",
                "{{client_id}}",
            )],
        ),
    ] {
        board.add(&panel)?;
    }
    board.finish(
        "callmeter-allowances",
        "callmeter / Allowances and spend",
        &[ACCOUNT, CLIENT],
    )
}

fn callmeter() -> Result<Value, UnknownFamily> {
    let mut board = Board::new();
    for panel in [
        stat(
            "Accounts up",
            "",
            "short",
            &[("sum({Up}{account=~\"$account\"})", "up")],
        ),
        stat(
            "Days that may miss calls",
            "",
            "short",
            &[("sum({DaysIncomplete}{account=~\"$account\"})", "days")],
        ),
        stat("Outputs up", "", "short", &[("sum({OutputUp})", "up")]),
        stat(
            "Journal",
            "",
            "percentunit",
            &[("{JournalBytes} / {JournalLimit}", "of its limit")],
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
                "sum(scrape_samples_scraped and on (job, instance) {Ready})",
                "series",
            )],
        ),
        graph(
            "Accounts",
            "1: up.",
            "short",
            &[("{Up}{account=~\"$account\"}", "{{account}}")],
        ),
        graph(
            "Complete until",
            "How long ago the time is before which no call is missing.",
            "s",
            &[(
                "time() - {CompleteUntil}{account=~\"$account\"}",
                "{{account}}",
            )],
        ),
        graph(
            "Waiting calls",
            "Calls that have not settled.",
            "short",
            &[("{CallsWaiting}{account=~\"$account\"}", "{{account}}")],
        ),
        graph(
            "Budget of requests",
            "Share of the requests for calls that are allowed: used in the last hour, and needed.",
            "percentunit",
            &[
                (
                    "{CallsBudgetUsed}{account=~\"$account\"}",
                    "{{account}} used",
                ),
                (
                    "{CallsBudgetNeeded}{account=~\"$account\"}",
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
                    "sum by (account) (increase({CallRecordsRevised}{account=~\"$account\"}[1h]))",
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
            &[("{OutputLag}", "{{output}} {{stream}}")],
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
            &[("{JournalBytes}", "size"), ("{JournalLimit}", "limit")],
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
            &[("{ClockSkew}{account=~\"$account\"}", "{{account}}")],
        ),
    ] {
        board.add(&panel)?;
    }
    board.finish("callmeter-self", "callmeter / callmeter itself", &[ACCOUNT])
}
