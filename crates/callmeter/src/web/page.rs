//! The status page: the state of every account and output in plain words. It works without
//! JavaScript and loads nothing else.

use callmeter_meter::Api;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::calls_card::calls_card;
use super::charges_card::{charges, waits_for_deck};
use super::sharing_card::{elsewhere, instances, needs_attention, works_elsewhere};
use super::words::{moment, number, optional, plural, size, span_of};
use crate::status::{AccountStatus, OutputStatus, Status, TaskState, TaskStatus, WorkKind, oldest};

const STYLE: &str = include_str!("page.css");

/// A state, shown as colour and word.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Good,
    Bad,
    Waiting,
}

impl Mark {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Waiting => "waiting",
        }
    }
}

/// The whole page.
pub(super) fn render(status: &Status, telemetry_path: &str) -> String {
    let now = status.now;
    let sharing = status.sharing.as_ref();
    let elsewhere = |kind| {
        let here: Vec<&str> = match kind {
            WorkKind::Account => status
                .accounts
                .iter()
                .map(|one| one.name.as_str())
                .collect(),
            WorkKind::Charges => status
                .charges
                .iter()
                .map(|one| one.account.as_str())
                .collect(),
            WorkKind::Output => status.outputs.iter().map(|one| one.name.as_str()).collect(),
            WorkKind::Journal => Vec::new(),
        };
        elsewhere(sharing, kind, &here, now)
    };
    let (accounts, outputs) = (elsewhere(WorkKind::Account), elsewhere(WorkKind::Output));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="refresh" content="15";
                title { "callmeter" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "callmeter" }
                    p { "Counts the calls of HostedSuite and PortSIP PBX for Prometheus." }
                    nav {
                        a href="/usage" { "Usage" }
                        a href=(telemetry_path) { "Metrics" }
                        a href="/config" { "Configuration" }
                        a href="/api/v1/status" { "Status as JSON" }
                    }
                }
                main {
                    (summary(status))
                    (config(status))
                    section {
                        h2 { "Accounts" }
                        @if status.accounts.is_empty() && accounts.0.is_empty() {
                            p.none { "No account is configured." }
                        }
                        @for account in &status.accounts { (account_card(account, now)) }
                        (accounts)
                    }
                    (charges(&status.charges, &elsewhere(WorkKind::Charges)))
                    section {
                        h2 { "Outputs" }
                        @if status.outputs.is_empty() && outputs.0.is_empty() {
                            p.none { "No output is configured: records stay in the journal." }
                        }
                        @for output in &status.outputs { (output_card(output, now)) }
                        (outputs)
                    }
                    @if let Some(sharing) = sharing { (instances(sharing, now)) }
                    (journal(status))
                }
                (footer(status))
            }
        }
    }
    .into_string()
}

fn badge(mark: Mark, word: &str) -> Markup {
    html! { span class={ "badge " (mark.class()) } { (word) } }
}

fn summary(status: &Status) -> Markup {
    let sharing = status.sharing.as_ref();
    let count = |wanted: Option<bool>| {
        let accounts = status.accounts.iter().map(AccountStatus::up);
        let all = accounts.chain(works_elsewhere(sharing, WorkKind::Account));
        all.filter(|up| *up == wanted).count()
    };
    let (well, failing, waiting) = (count(Some(true)), count(Some(false)), count(None));
    let outputs_elsewhere = || works_elsewhere(sharing, WorkKind::Output);
    let outputs_down = (status.outputs.iter())
        .filter(|output| output_mark(output) == Mark::Bad)
        .count()
        + outputs_elsewhere().filter(|up| *up == Some(false)).count();
    let outputs_waiting = status.outputs.iter().any(OutputStatus::starts)
        || outputs_elsewhere().any(|up| up.is_none());
    let uncharged = status.charges.iter().any(waits_for_deck);
    let decks_unread = (status.charges.iter())
        .filter(|charging| charging.error.is_some())
        .count()
        + works_elsewhere(sharing, WorkKind::Charges)
            .filter(|works| *works == Some(false))
            .count();
    let trouble = failing
        + decks_unread
        + outputs_down
        + usize::from(status.journal.error.is_some())
        + usize::from(sharing.is_some_and(needs_attention))
        + usize::from(status.config.error.is_some());
    let (mark, words) = if trouble > 0 {
        (Mark::Bad, "Something needs attention")
    } else if !status.ready || waiting > 0 || outputs_waiting || uncharged {
        (Mark::Waiting, "Starting")
    } else {
        (Mark::Good, "All is well")
    };
    html! {
        section class={ "summary " (mark.class()) } {
            strong { (words) }
            span { (plural(well, "account works", "accounts work")) }
            @if failing > 0 { span { (plural(failing, "account fails", "accounts fail")) } }
            @if waiting > 0 { span { (plural(waiting, "account waits for its first poll", "accounts wait for their first poll")) } }
            @if outputs_down > 0 { span { (plural(outputs_down, "output does not work", "outputs do not work")) } }
        }
    }
}

fn config(status: &Status) -> Markup {
    let config = &status.config;
    html! {
        @if let Some(error) = &config.error {
            section.notice.bad {
                h2 { "The configuration could not be reloaded" }
                p { "The old configuration stays in effect. Mistakes in " code { (config.file) } ":" }
                pre { (error) }
            }
        }
        @if !config.warnings.is_empty() {
            section.notice.waiting {
                h2 { "The configuration has warnings" }
                ul { @for warning in &config.warnings { li { (warning) } } }
            }
        }
    }
}

fn account_card(account: &AccountStatus, now: Timestamp) -> Markup {
    let (mark, word) = match account.up() {
        Some(true) => (Mark::Good, "works"),
        Some(false) => (Mark::Bad, "fails"),
        None => (Mark::Waiting, "waiting"),
    };
    let api = match account.api {
        Api::HostedSuite => "HostedSuite",
        Api::PortSip => "PortSIP PBX",
    };
    html! {
        article class=(mark.class()) {
            h3 { (account.name) " " (badge(mark, word)) small { (api) } }
            @if let Some(calls) = &account.calls { (calls_card(calls, now)) }
            div.scroll { table {
                thead { tr { th { "Poll" } th { "State" } th { "Last success" } th { "Next" } th { "Found" } } }
                tbody {
                    @for (task, poll) in &account.tasks {
                        tr {
                            th data-label="Poll" { (task.label()) small { "every " (span_of(poll.every.as_secs())) } }
                            td data-label="State" { (task_state(poll)) }
                            td data-label="Last success" { (optional(poll.last_success, now, "never")) }
                            td data-label="Next" {
                                @if poll.running { "running now" } @else { (optional(poll.next, now, "not planned")) }
                            }
                            td data-label="Found" { (poll.found.as_deref().unwrap_or("–")) }
                        }
                        @if let Some(error) = &poll.error {
                            tr.error { td colspan="5" {
                                (error)
                                @if poll.failures > 1 {
                                    " (" (poll.failures) " times in a row"
                                    @if let Some(since) = poll.failing_since { ", first " (moment(since, now)) }
                                    ")"
                                }
                            } }
                        }
                    }
                }
            } }
        }
    }
}

fn task_state(poll: &TaskStatus) -> Markup {
    match poll.state {
        TaskState::Starting => badge(Mark::Waiting, "first run"),
        TaskState::Ok => badge(Mark::Good, "ok"),
        TaskState::Truncated => badge(Mark::Bad, "truncated"),
        TaskState::Failing => badge(Mark::Bad, "failing"),
        TaskState::Refused => badge(Mark::Bad, "refused"),
        TaskState::Unavailable => badge(Mark::Waiting, "not allowed"),
    }
}

fn output_mark(output: &OutputStatus) -> Mark {
    match output.up {
        true => Mark::Good,
        false if output.starts() => Mark::Waiting,
        false => Mark::Bad,
    }
}

fn output_card(output: &OutputStatus, now: Timestamp) -> Markup {
    let mark = output_mark(output);
    html! {
        article class=(mark.class()) {
            h3 { (output.name) " " (badge(mark, output.state))
                @if let Some(description) = &output.description { small { (description) } }
            }
            p.fact { code { (output.plugin) } }
            @if let Some(error) = &output.error { p.error { (error) } }
            div.scroll { table {
                thead { tr { th { "Stream" } th { "Waiting" } th { "Oldest waiting" } th { "Delivered" } th { "Dropped" } } }
                tbody {
                    @for figures in &output.streams {
                        tr {
                            th data-label="Stream" { (figures.stream.name()) }
                            td data-label="Waiting" { (number(figures.backlog.records)) }
                            td data-label="Oldest waiting" { (optional(oldest(figures), now, "–")) }
                            td data-label="Delivered" { (number(figures.delivered)) }
                            td data-label="Dropped" { (number(figures.dropped)) }
                        }
                    }
                }
            } }
        }
    }
}

fn journal(status: &Status) -> Markup {
    let journal = &status.journal;
    html! {
        section {
            h2 { "Journal" }
            article class=(if journal.error.is_some() || journal.not_followed.is_some() { "bad" } else { "good" }) {
                p.fact { code { (journal.path) } }
                p.fact { (size(journal.bytes)) ", " (number(journal.last_batch)) " batches written" }
                @if let Some(error) = &journal.error { p.error { (error) } }
                @if let Some(error) = &journal.not_followed {
                    p.error { "Totals are as of the last batch that could be read: " (error) }
                }
            }
        }
    }
}

fn footer(status: &Status) -> Markup {
    let versions = status.versions;
    html! {
        footer {
            p { "callmeter " (versions.callmeter) ", revision " (versions.revision) ", " (versions.rustc) ", " (versions.target) }
            p {
                "Started " (moment(status.started, status.now)) ". Configuration "
                code { (status.config.file) } " read " (optional(status.config.loaded, status.now, "never")) ". "
                "This page as of " (format!("{:.0}", status.now)) "; it refreshes itself every 15 s."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use callmeter_plugin_host::StreamStatus;
    use callmeter_records::{Backlog, Stream};

    use crate::status::{CallsProgress, ChargingStatus, ConfigStatus, Task, UnprovenDay};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn poll(state: TaskState, every: u64) -> TaskStatus {
        TaskStatus {
            state,
            running: false,
            every: Duration::from_secs(every),
            last_start: Some(at("2026-08-06T12:00:00Z")),
            last_success: Some(at("2026-08-06T11:59:12Z")),
            next: Some(at("2026-08-06T12:00:42Z")),
            failures: 0,
            failing_since: None,
            error: None,
            found: None,
        }
    }

    /// A status with every kind of trouble.
    fn troubled() -> Status {
        let hour = at("2026-08-06T11:00:00Z");
        let failing = TaskStatus {
            failures: 7,
            failing_since: Some(at("2026-08-04T09:01:00Z")),
            last_success: Some(at("2026-08-04T09:00:00Z")),
            error: Some(
                "cannot sign in: the server refused the login; check the password file".to_owned(),
            ),
            ..poll(TaskState::Refused, 60)
        };
        let calls = TaskStatus {
            found: Some("312 calls read, 4 new, 1 edited".to_owned()),
            ..poll(TaskState::Ok, 60)
        };
        let truncated = TaskStatus {
            running: true,
            error: Some(
                "stopped at 100 pages; <b>the rest</b> is read by the next poll".to_owned(),
            ),
            failures: 1,
            ..poll(TaskState::Truncated, 300)
        };
        let starting = TaskStatus {
            last_success: None,
            next: None,
            ..poll(TaskState::Starting, 900)
        };
        let account = |name: &str, api, calls, tasks: Vec<(Task, TaskStatus)>| AccountStatus {
            name: name.to_owned(),
            api,
            stale_after: 3,
            calls,
            tasks: tasks.into_iter().collect(),
        };
        let progress = CallsProgress {
            watermark: Some(hour),
            complete_until: Some(hour),
            unproven: vec![UnprovenDay {
                date: jiff::civil::date(2026, 8, 1),
                asked: true,
                reason: "had 90 of 100 <rows>".to_owned(),
            }],
            waiting: 1_234,
            clock_skew: Some(jiff::SignedDuration::from_hours(-2)),
            tail: Some("the server does not sort calls by start time".to_owned()),
            requests_last_hour: 1_800,
            requests_per_hour: 1_800,
            requests_needed_per_hour: 2_500,
        };
        let stream = |records, oldest: Option<Timestamp>| StreamStatus {
            stream: Stream::Calls,
            received: 123_456,
            delivered: 1_234_567,
            dropped: 0,
            backlog: Backlog {
                records,
                oldest_observed_at: oldest.map(Timestamp::as_microsecond),
                lost: 0,
            },
        };
        Status {
            now: at("2026-08-06T12:00:30Z"),
            started: at("2026-08-01T00:00:00Z"),
            ready: true,
            versions: crate::status::Versions {
                callmeter: "0.1.0",
                revision: "abc1234",
                rustc: "rustc 1.95.0",
                target: "x86_64-unknown-linux-gnu",
            },
            config: ConfigStatus {
                file: "/etc/callmeter/callmeter.yml".to_owned(),
                loaded: Some(hour),
                error: Some("callmeter.yml:12:7: accounts[0].hostedsuite.formt: unknown key \"formt\"; did you mean \"format\"?".to_owned()),
                warnings: vec!["callmeter.yml:20:5: accounts[1].portsip.tls.insecure: certificates are not checked".to_owned()],
            },
            accounts: vec![
                account("acme", Api::HostedSuite, Some(progress), vec![(Task::Calls, calls), (Task::Balances, truncated)]),
                account("hq", Api::PortSip, None, vec![(Task::Billing, failing), (Task::Rates, starting)]),
            ],
            outputs: vec![
                OutputStatus {
                    name: "archive".to_owned(),
                    plugin: "/usr/lib/callmeter/libcallmeter_csv.so".to_owned(),
                    description: Some("CSV files, 0.1.0".to_owned()),
                    up: true,
                    state: "running",
                    error: None,
                    streams: vec![stream(0, None)],
                },
                OutputStatus {
                    name: "crm".to_owned(),
                    plugin: "/usr/lib/callmeter/libcallmeter_webhook.so".to_owned(),
                    description: None,
                    up: false,
                    state: "retrying",
                    error: Some("POST https://crm.example.com/: connection refused; tried again in 2 min".to_owned()),
                    streams: vec![stream(4_321, Some(hour))],
                },
            ],
            charges: vec![
                ChargingStatus {
                    name: "branches".to_owned(),
                    account: "branches".to_owned(),
                    ..ChargingStatus::default()
                },
                ChargingStatus {
                    name: "spend".to_owned(),
                    account: "acme".to_owned(),
                    waiting: 1_234,
                    reason: Some("the deck ./deck.csv was not read yet".to_owned()),
                    error: Some("cannot read the deck ./deck.csv: <no> such file".to_owned()),
                },
            ],
            journal: crate::status::JournalStatus {
                path: "/var/lib/callmeter/journal.db".to_owned(),
                bytes: 734_003_200,
                last_batch: 81_234,
                not_followed: None,
                error: None,
            },
            sharing: None,
        }
    }

    #[test]
    fn a_page_with_every_kind_of_trouble() {
        let page = render(&troubled(), "/metrics");
        assert!(!page.contains("<b>"), "text is escaped");
        assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("src="));
        insta::assert_snapshot!(page.replace("><", ">\n<"));
    }

    #[test]
    fn an_output_that_starts_is_no_trouble_yet() {
        let mut output = troubled().outputs.remove(0);
        (output.up, output.error) = (false, None);
        output.state = "starting";
        assert!(output_mark(&output) == Mark::Waiting);
        output.error = Some("no such file".to_owned());
        assert!(output_mark(&output) == Mark::Bad);
        output.up = true;
        assert!(output_mark(&output) == Mark::Good);
    }

    #[test]
    fn the_summary_says_the_worst() {
        let mut status = troubled();
        assert!(render(&status, "/metrics").contains("Something needs attention"));
        status.config.error = None;
        status.outputs.clear();
        status.charges.truncate(1);
        status.accounts.truncate(1);
        status.accounts[0]
            .tasks
            .retain(|task, _| *task == Task::Calls);
        assert!(render(&status, "/metrics").contains("All is well"));
        status.ready = false;
        assert!(render(&status, "/metrics").contains("Starting"));
        status.journal.error = Some("the disk is full".to_owned());
        let page = render(&status, "/metrics");
        assert!(page.contains("Something needs attention") && page.contains("the disk is full"));
    }
}
