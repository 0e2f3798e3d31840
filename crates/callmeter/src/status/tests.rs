//! Tests of the store: what the page shows and what the metrics show come from one state.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use callmeter_journal::PageCounts;
use callmeter_meter::{Api, FamilyId, Ledger, Limits, Meter, Values};
use jiff::Timestamp;

use super::*;
use crate::selfmetrics::SelfMetrics;

const REASONS: [&str; 2] = ["timeout", "journal"];

struct Fixture {
    store: StatusStore,
    meter: Arc<Meter>,
    metrics: SelfMetrics,
}

impl Fixture {
    fn new() -> Self {
        let meter = Arc::new(Meter::new(Ledger::new(Limits::default())));
        let metrics = SelfMetrics::new().unwrap();
        let store = StatusStore::new(
            Path::new("c.yml"),
            Timestamp::now(),
            Arc::clone(&meter),
            metrics.clone(),
        );
        Self {
            store,
            meter,
            metrics,
        }
    }

    fn add(&self, tasks: &[Task]) {
        let tasks: Vec<_> = tasks
            .iter()
            .map(|task| (*task, Duration::from_mins(1)))
            .collect();
        self.store.accounts().add(&AccountSetup {
            name: "acme",
            api: Api::HostedSuite,
            stale_after: 2,
            tasks: &tasks,
            failure_reasons: &REASONS,
        });
    }

    fn ended(&self, task: Task, end: &PollEnd) -> Option<Transition> {
        let took = Duration::from_secs(1);
        self.store.accounts().poll_ended("acme", task, end, took)
    }

    fn account(&self) -> AccountStatus {
        self.store.status().accounts.remove(0)
    }

    /// The value of the account's only sample of a family.
    fn metric(&self, family: FamilyId) -> Option<String> {
        let snapshot = self.meter.snapshot();
        let block = snapshot.blocks(family).next()?;
        match block.values {
            Values::Amounts(values, _) => values.first().map(ToString::to_string),
            Values::Floats(values) => values.first().map(ToString::to_string),
            _ => None,
        }
    }
}

fn ok() -> PollEnd {
    PollEnd::Ok {
        found: "3 records".to_owned(),
    }
}

fn failing() -> PollEnd {
    PollEnd::Failing {
        error: "no answer".to_owned(),
        reason: "timeout",
    }
}

fn refused() -> PollEnd {
    PollEnd::Refused {
        error: "login refused".to_owned(),
        reason: "timeout",
    }
}

fn unavailable() -> PollEnd {
    PollEnd::Unavailable {
        error: "permission denied".to_owned(),
    }
}

#[test]
fn an_account_is_up_when_nothing_that_it_needs_fails() {
    use Task::{Balances, Calls, Clients};
    let up = |ends: &[(Task, Option<PollEnd>)]| {
        let fixture = Fixture::new();
        let tasks: Vec<Task> = ends.iter().map(|(task, _)| *task).collect();
        fixture.add(&tasks);
        for (task, end) in ends {
            end.as_ref().map(|end| fixture.ended(*task, end));
        }
        let page = fixture.account().up();
        let shown = page.map(|up| u8::from(up).to_string());
        assert_eq!(fixture.metric(FamilyId::Up), shown);
        page
    };
    assert_eq!(up(&[(Calls, None)]), None);
    assert_eq!(up(&[(Calls, Some(ok())), (Balances, None)]), Some(true));
    assert_eq!(
        up(&[(Calls, Some(ok())), (Clients, Some(unavailable()))]),
        Some(true)
    );
    assert_eq!(
        up(&[(Calls, Some(ok())), (Balances, Some(failing()))]),
        Some(false)
    );
    assert_eq!(up(&[(Calls, Some(refused()))]), Some(false));
}

#[test]
fn an_account_that_was_removed_is_not_brought_back() {
    let fixture = Fixture::new();
    fixture.add(&[Task::Calls]);
    fixture.store.accounts().remove("acme");
    assert_eq!(fixture.ended(Task::Calls, &ok()), None);
    assert!(fixture.store.status().accounts.is_empty());
    assert_eq!(fixture.metric(FamilyId::Up), None);
}

#[test]
fn failures_by_reason_start_at_0() {
    let fixture = Fixture::new();
    fixture.add(&[Task::Calls, Task::Balances]);
    let text = prometheus::TextEncoder::new()
        .encode_to_string(&fixture.metrics.registry.gather())
        .unwrap();
    for task in ["calls", "balances"] {
        for reason in REASONS {
            let sample = format!(
                "callmeter_poll_failures_total{{account=\"acme\",reason=\"{reason}\",task=\"{task}\"}} 0"
            );
            assert!(text.contains(&sample), "{sample} is not in {text}");
        }
        let sample = format!("callmeter_polls_total{{account=\"acme\",task=\"{task}\"}} 0");
        assert!(text.contains(&sample), "{sample} is not in {text}");
    }
}

/// An alert must last as long as the fault: pauses are longer than any window of an alert.
#[test]
fn a_task_shows_why_it_fails_until_it_succeeds() {
    let fixture = Fixture::new();
    fixture.add(&[Task::Calls, Task::Balances]);
    let shown = || {
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&fixture.metrics.registry.gather())
            .unwrap();
        let lines = text.lines().filter(|line| {
            line.starts_with("callmeter_task_failing{") || line.starts_with("callmeter_task_up{")
        });
        let lines = lines.filter_map(|line| line.strip_prefix("callmeter_task_"));
        let lines = lines.map(|line| line.replace("account=\"acme\",", "").replace('"', ""));
        lines.collect::<Vec<_>>().join("; ")
    };
    fixture.ended(Task::Calls, &ok());
    fixture.ended(Task::Balances, &ok());
    fixture.ended(Task::Calls, &failing());
    let accounts = fixture.store.accounts();
    accounts.login_refused("acme", Task::Balances, "login refused", None);
    assert_eq!(
        shown(),
        "failing{reason=refused_login,task=balances} 1; failing{reason=timeout,task=calls} 1; \
         up{task=balances} 0; up{task=calls} 0"
    );
    fixture.ended(
        Task::Calls,
        &PollEnd::Failing {
            error: "x".to_owned(),
            reason: "journal",
        },
    );
    fixture.ended(Task::Balances, &ok());
    assert_eq!(
        shown(),
        "failing{reason=journal,task=calls} 1; up{task=balances} 1; up{task=calls} 0"
    );
    // A task that is no longer polled does not fail.
    fixture.add(&[Task::Balances]);
    assert_eq!(shown(), "up{task=balances} 1");
}

#[test]
fn a_reload_lowers_no_counter_and_keeps_the_state() {
    let fixture = Fixture::new();
    fixture.add(&[Task::Calls]);
    let read = PageCounts {
        late: 1,
        known: 2,
        repeated: 3,
        outside_window: 4,
        forgotten: 5,
        ..PageCounts::default()
    };
    fixture
        .store
        .accounts()
        .calls_read("acme", progress(), read, NotableCalls::default());
    fixture.ended(Task::Calls, &ok());
    let counters = || {
        [
            FamilyId::CallRecordsLate,
            FamilyId::CallRecordsDuplicate,
            FamilyId::CallRecordsOutsideWindow,
            FamilyId::CallsForgotten,
        ]
        .map(|family| fixture.metric(family))
        .map(Option::unwrap_or_default)
    };
    assert_eq!(counters(), ["1", "5", "4", "5"]);

    // The account's configuration changes.
    fixture.add(&[Task::Calls, Task::Balances]);
    assert_eq!(counters(), ["1", "5", "4", "5"]);
    assert_eq!(fixture.account().up(), Some(true));
    assert_eq!(fixture.account().calls, Some(progress()));

    // The account is removed and comes back.
    fixture.store.accounts().remove("acme");
    assert_eq!(counters(), ["", "", "", ""]);
    fixture.add(&[Task::Calls]);
    assert_eq!(counters(), ["1", "5", "4", "5"]);
    assert_eq!(fixture.account().up(), None);
}

#[test]
fn a_task_is_stale_after_consecutive_failures() {
    let fixture = Fixture::new();
    fixture.add(&[Task::Calls]);
    let stale = |end| fixture.ended(Task::Calls, &end).unwrap().stale;
    assert!(!stale(failing()));
    assert!(stale(failing()));
    assert!(fixture.account().is_stale());
    assert!(!stale(ok()));
    assert!(!fixture.account().is_stale());
}

fn progress() -> CallsProgress {
    CallsProgress {
        watermark: Timestamp::from_second(7).ok(),
        complete_until: Timestamp::from_second(7).ok(),
        unproven: Vec::new(),
        waiting: 2,
        clock_skew: None,
        tail: None,
        requests_last_hour: 60,
        requests_per_hour: 1_800,
        requests_needed_per_hour: 120,
    }
}

#[test]
fn an_account_is_down_while_a_day_is_unproven_that_nobody_had_to_ask_for() {
    let fixture = Fixture::new();
    fixture.add(&[Task::Calls]);
    fixture.ended(Task::Calls, &ok());
    let unproven = |asked| UnprovenDay {
        date: jiff::civil::date(2026, 8, 8),
        asked,
        reason: "list_calls: server error (500)".to_owned(),
    };
    for (asked, up) in [(true, true), (false, false)] {
        let progress = CallsProgress {
            unproven: vec![unproven(asked)],
            ..progress()
        };
        let read = PageCounts::default();
        fixture
            .store
            .accounts()
            .calls_read("acme", progress, read, NotableCalls::default());
        assert_eq!(fixture.account().up(), Some(up));
    }
}
