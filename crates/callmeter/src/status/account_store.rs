//! The store of the accounts' state. A poll reports to it once; both the status page and the
//! metrics of the account are derived from it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use callmeter_journal::PageCounts;
use callmeter_meter::{Api, Ledger, Meter};
use jiff::Timestamp;

use super::account::{
    AccountStatus, CallsProgress, NotableCalls, PollEnd, Task, TaskState, TaskStatus,
};
use crate::selfmetrics::SelfMetrics;

/// The reason of a poll that waits because the account's login was refused.
const REFUSED_LOGIN: &str = api_client::ErrorKind::RefusedLogin.as_str();

/// The state of all accounts.
#[derive(Debug)]
pub struct AccountStore {
    meter: Arc<Meter>,
    metrics: SelfMetrics,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    accounts: BTreeMap<String, AccountStatus>,
    /// Counts of records since the process started. They outlive the account's configuration:
    /// counters never decrease.
    counts: BTreeMap<String, PageCounts>,
}

/// An account that is about to be polled.
#[derive(Debug)]
pub struct AccountSetup<'s> {
    /// Its name.
    pub name: &'s str,
    /// Its API.
    pub api: Api,
    /// Consecutive failures after which the values of the last successful poll are not shown.
    pub stale_after: u32,
    /// Its tasks with their intervals.
    pub tasks: &'s [(Task, Duration)],
    /// Every value of the label `reason` that a failed poll may have.
    pub failure_reasons: &'s [&'static str],
}

/// The state of a task around the end of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The state before the poll ended.
    pub before: TaskState,
    /// Whether the values of the task's last successful poll are too old to be shown.
    pub stale: bool,
}

impl AccountStore {
    pub(super) fn new(meter: Arc<Meter>, metrics: SelfMetrics) -> Self {
        Self {
            meter,
            metrics,
            inner: Mutex::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each change is complete in itself, so a poisoned lock guards valid data.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of all accounts, by name.
    pub(super) fn all(&self) -> Vec<AccountStatus> {
        self.inner().accounts.values().cloned().collect()
    }

    /// Adds an account, or changes the tasks of one that is there. Tasks that stay keep their
    /// state.
    pub fn add(&self, setup: &AccountSetup<'_>) {
        let AccountSetup { name, api, .. } = *setup;
        self.start_counters(setup);
        {
            let mut inner = self.inner();
            let mut before = inner
                .accounts
                .remove(name)
                .filter(|account| account.api == api);
            let mut task_status = |(task, every): &(Task, Duration)| {
                let kept = before
                    .as_mut()
                    .and_then(|account| account.tasks.remove(task));
                let status = TaskStatus {
                    every: *every,
                    running: false,
                    next: None,
                    ..kept.unwrap_or_else(|| TaskStatus::new(*every))
                };
                (*task, status)
            };
            let tasks = setup.tasks.iter().map(&mut task_status).collect();
            let account = AccountStatus {
                name: name.to_owned(),
                api,
                stale_after: setup.stale_after,
                calls: before.as_mut().and_then(|account| account.calls.take()),
                tasks,
            };
            inner.accounts.insert(name.to_owned(), account);
            for task in before.iter().flat_map(|account| account.tasks.keys()) {
                self.metrics.forget_task(name, *task);
            }
        }
        self.meter.update(|ledger| {
            ledger.configure(name, api);
            self.set_gauges(ledger, name);
        });
    }

    /// Makes the counters of an account's polls exist, at 0, before the first poll.
    fn start_counters(&self, setup: &AccountSetup<'_>) {
        let metrics = &self.metrics;
        for (task, _) in setup.tasks {
            let labels = [setup.name, task.label()];
            for counters in [
                &metrics.polls,
                &metrics.polls_skipped,
                &metrics.polls_truncated,
                &metrics.records_unreadable,
            ] {
                counters.with_label_values(&labels);
            }
            for reason in setup.failure_reasons {
                metrics
                    .poll_failures
                    .with_label_values(&[setup.name, task.label(), reason]);
            }
        }
    }

    /// Removes an account with its metrics. Its totals stay in the ledger.
    pub fn remove(&self, name: &str) {
        self.inner().accounts.remove(name);
        self.metrics.forget_account(name);
        self.meter.update(|ledger| ledger.unconfigure(name));
    }

    /// Whether an account has a task.
    pub fn has_task(&self, name: &str, task: Task) -> bool {
        let inner = self.inner();
        let account = inner.accounts.get(name);
        account.is_some_and(|account| account.tasks.contains_key(&task))
    }

    /// The error of an account's task, if its last poll failed.
    pub fn failure(&self, name: &str, task: Task) -> Option<String> {
        let inner = self.inner();
        inner.accounts.get(name)?.tasks.get(&task)?.error.clone()
    }

    /// Sets when the next poll starts.
    pub fn poll_planned(&self, name: &str, task: Task, next: Option<Timestamp>) {
        self.change_task(name, task, |status| status.next = next);
    }

    /// Reports that a poll has started.
    pub fn poll_started(&self, name: &str, task: Task) {
        let labels = [name, task.label()];
        self.metrics.polls.with_label_values(&labels).inc();
        self.change_task(name, task, |status| {
            status.running = true;
            status.last_start = Some(Timestamp::now());
        });
    }

    /// Reports that a poll was not started, because the account's login was refused.
    pub fn login_refused(&self, name: &str, task: Task, reason: &str, next: Option<Timestamp>) {
        self.change_task(name, task, |status| {
            status.state = TaskState::Refused;
            status.error = Some(reason.to_owned());
            status.next = next;
            let reason = Some(REFUSED_LOGIN);
            self.metrics.task_ended(name, task.label(), status, reason);
        });
        self.publish(name);
    }

    /// Reports the end of a poll in which nothing was due: the state stays.
    pub fn poll_was_idle(&self, name: &str, task: Task, took: Duration) {
        let labels = [name, task.label()];
        let histogram = self.metrics.poll_duration.with_label_values(&labels);
        histogram.observe(took.as_secs_f64());
        self.change_task(name, task, |status| status.running = false);
    }

    /// Reports how a poll ended; `None` if the account is gone.
    pub fn poll_ended(
        &self,
        name: &str,
        task: Task,
        end: &PollEnd,
        took: Duration,
    ) -> Option<Transition> {
        let labels = [name, task.label()];
        let metrics = &self.metrics;
        metrics
            .poll_duration
            .with_label_values(&labels)
            .observe(took.as_secs_f64());
        let failure = match end {
            PollEnd::Ok { .. } | PollEnd::Unavailable { .. } => None,
            PollEnd::Truncated { .. } => {
                metrics.polls_truncated.with_label_values(&labels).inc();
                None
            }
            PollEnd::Failing { reason, .. } | PollEnd::Refused { reason, .. } => {
                let labels = [name, task.label(), reason];
                metrics.poll_failures.with_label_values(&labels).inc();
                Some(*reason)
            }
        };
        let transition = {
            let mut inner = self.inner();
            let account = inner.accounts.get_mut(name)?;
            let stale_after = account.stale_after;
            let status = account.tasks.get_mut(&task)?;
            let before = status.state;
            status.ended(end, Timestamp::now());
            metrics.task_ended(name, task.label(), status, failure);
            Transition {
                before,
                stale: status.failures >= stale_after,
            }
        };
        self.publish(name);
        Some(transition)
    }

    /// Reports polls that were left out because the previous poll was still running.
    pub fn polls_skipped(&self, name: &str, task: Task, polls: u64) {
        let labels = [name, task.label()];
        self.metrics
            .polls_skipped
            .with_label_values(&labels)
            .inc_by(polls);
    }

    /// Reports records that could not be read at all.
    pub fn records_unreadable(&self, name: &str, task: Task, records: u64) {
        let labels = [name, task.label()];
        self.metrics
            .records_unreadable
            .with_label_values(&labels)
            .inc_by(records);
    }

    /// Reports how far an account's calls have been read, and the records that a poll has read,
    /// also one that failed.
    pub fn calls_read(
        &self,
        name: &str,
        progress: CallsProgress,
        read: PageCounts,
        notable: NotableCalls,
    ) {
        self.metrics.calls_progress(name, &progress, notable);
        {
            let mut inner = self.inner();
            *inner.counts.entry(name.to_owned()).or_default() += read;
            if let Some(account) = inner.accounts.get_mut(name) {
                account.calls = Some(progress);
            }
        }
        self.publish(name);
    }

    fn change_task(&self, name: &str, task: Task, change: impl FnOnce(&mut TaskStatus)) {
        let mut inner = self.inner();
        let account = inner.accounts.get_mut(name);
        if let Some(status) = account.and_then(|account| account.tasks.get_mut(&task)) {
            change(status);
        }
    }

    fn publish(&self, name: &str) {
        self.meter.update(|ledger| self.set_gauges(ledger, name));
    }

    /// Sets the account's gauges from its state, unless the account is gone. The state is read
    /// while the ledger is locked, so that of two reports at once the later state is set last.
    fn set_gauges(&self, ledger: &mut Ledger, name: &str) {
        let inner = self.inner();
        if let Some(account) = inner.accounts.get(name) {
            let counts = inner.counts.get(name).copied().unwrap_or_default();
            ledger.set_gauges(name, |gauges| *gauges = account.gauges(&counts));
        }
    }
}
