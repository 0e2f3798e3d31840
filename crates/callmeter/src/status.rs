//! How the program and its accounts stand: the one model behind the status page, `/api/v1/status`
//! and `/-/ready`.
//!
//! Pollers and the reload write to the [`StatusStore`]; the web server takes a [`Status`] of it,
//! which is a copy and holds nobody up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use callmeter_plugin_host::Outputs;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::output_status::OutputStatus;
use crate::secret_redactor::SecretRedactor;

/// What is polled of an account; each has a beat of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// HostedSuite's call records.
    Calls,
    /// HostedSuite's allowance balances.
    Balances,
    /// HostedSuite's client list.
    Clients,
    /// PortSIP's billing settings and balance.
    Billing,
    /// PortSIP's rate deck.
    Rates,
}

impl Task {
    /// The value of the label `task`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Balances => "balances",
            Self::Clients => "clients",
            Self::Billing => "billing",
            Self::Rates => "rates",
        }
    }
}

/// How a poll stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Its first run has not ended.
    Starting,
    /// Its last run did what it should.
    Ok,
    /// Its last run stopped at a cap: what it read is good, something is left unread.
    Truncated,
    /// Its last run failed; it is tried again.
    Failing,
    /// The login or the right was refused; it is tried again, but rarely.
    Refused,
    /// The account may not read this and need not.
    Unavailable,
}

/// One poll of an account.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskStatus {
    /// How it stands.
    pub state: TaskState,
    /// Whether it runs at this moment.
    pub running: bool,
    /// Its beat, in seconds.
    #[serde(rename = "every_seconds", serialize_with = "seconds")]
    pub every: Duration,
    /// Start of the last run.
    #[serde(serialize_with = "time")]
    pub last_start: Option<Timestamp>,
    /// End of the last run that did what it should.
    #[serde(serialize_with = "time")]
    pub last_success: Option<Timestamp>,
    /// When it runs next.
    #[serde(serialize_with = "time")]
    pub next: Option<Timestamp>,
    /// Failures in a row, up to now.
    pub failures: u32,
    /// End of the first of them.
    #[serde(serialize_with = "time")]
    pub failing_since: Option<Timestamp>,
    /// Why the last failed run failed, in plain words; nothing once it has succeeded again.
    pub error: Option<String>,
    /// What the last good run found, in plain words.
    pub found: Option<String>,
}

impl TaskStatus {
    fn new(every: Duration) -> Self {
        Self {
            state: TaskState::Starting,
            running: false,
            every,
            last_start: None,
            last_success: None,
            next: None,
            failures: 0,
            failing_since: None,
            error: None,
            found: None,
        }
    }
}

/// One account.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccountStatus {
    /// Its name.
    pub name: String,
    /// `hostedsuite` or `portsip`.
    pub api: &'static str,
    /// Up to when its calls have been read.
    #[serde(serialize_with = "time")]
    pub watermark: Option<Timestamp>,
    /// Its polls.
    pub tasks: BTreeMap<Task, TaskStatus>,
}

impl AccountStatus {
    /// Whether every poll's last run succeeded; nothing before any has ended. A list that the
    /// account may not read and need not does not count.
    pub fn up(&self) -> Option<bool> {
        let mut known = false;
        for task in self.tasks.values() {
            match task.state {
                TaskState::Starting | TaskState::Unavailable => {}
                TaskState::Ok => known = true,
                TaskState::Truncated | TaskState::Failing | TaskState::Refused => {
                    return Some(false);
                }
            }
        }
        known.then_some(true)
    }

    /// Whether a poll failed `after` times or more in a row while none of the account succeeded: what
    /// the last good ones said is too old to be shown.
    pub fn is_stale(&self, after: u32) -> bool {
        let last_success = self.last_success();
        self.tasks
            .values()
            .any(|task| task.failures >= after && task.failing_since > last_success)
    }

    /// When a poll of it last succeeded.
    pub fn last_success(&self) -> Option<Timestamp> {
        self.tasks
            .values()
            .filter_map(|task| task.last_success)
            .max()
    }
}

/// How the configuration stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigStatus {
    /// The file.
    pub file: String,
    /// When it was last read with success.
    #[serde(serialize_with = "time")]
    pub loaded: Option<Timestamp>,
    /// Why the last reading failed; nothing when it did not.
    pub error: Option<String>,
    /// What is allowed but unwise.
    pub warnings: Vec<String>,
}

/// How the journal stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct JournalStatus {
    /// The file.
    pub path: String,
    /// Bytes on disk.
    pub bytes: u64,
    /// The number of its last batch.
    pub last_batch: u64,
    /// Why it does not take records at this time; nothing when it does.
    pub error: Option<String>,
}

/// Versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Versions {
    /// Of this program.
    pub callmeter: &'static str,
    /// Of its source.
    pub revision: &'static str,
    /// Of its compiler.
    pub rustc: &'static str,
    /// What it was compiled for.
    pub target: &'static str,
}

/// Everything, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// When this was true.
    #[serde(serialize_with = "moment")]
    pub now: Timestamp,
    /// When the program started.
    #[serde(serialize_with = "moment")]
    pub started: Timestamp,
    /// Whether journal, meter and outputs are up and polling has begun.
    pub ready: bool,
    /// What runs.
    pub versions: Versions,
    /// The configuration.
    pub config: ConfigStatus,
    /// The accounts by name.
    pub accounts: Vec<AccountStatus>,
    /// The outputs by name.
    pub outputs: Vec<OutputStatus>,
    /// The journal.
    pub journal: JournalStatus,
}

/// Where the parts of the program write how they stand.
#[derive(Debug)]
pub struct StatusStore {
    started: Timestamp,
    outputs: OnceLock<(Arc<Outputs>, Arc<SecretRedactor>)>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    ready: bool,
    config: ConfigStatus,
    accounts: BTreeMap<String, AccountStatus>,
    journal: JournalStatus,
}

impl StatusStore {
    /// An empty status of a program that starts now.
    pub fn new(config_file: &std::path::Path) -> Self {
        Self {
            started: Timestamp::now(),
            outputs: OnceLock::new(),
            inner: Mutex::new(Inner {
                ready: false,
                config: ConfigStatus {
                    file: config_file.display().to_string(),
                    loaded: None,
                    error: None,
                    warnings: Vec::new(),
                },
                accounts: BTreeMap::new(),
                journal: JournalStatus::default(),
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each change below is complete in itself, so a poisoned lock guards sound data.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of everything.
    pub fn status(&self) -> Status {
        let outputs = self.outputs();
        let inner = self.inner();
        Status {
            now: Timestamp::now(),
            started: self.started,
            ready: inner.ready,
            versions: Versions {
                callmeter: crate::build::VERSION,
                revision: crate::build::REVISION,
                rustc: crate::build::RUSTC,
                target: crate::build::TARGET,
            },
            config: inner.config.clone(),
            accounts: inner.accounts.values().cloned().collect(),
            outputs,
            journal: inner.journal.clone(),
        }
    }

    /// Whether the program is ready.
    pub fn is_ready(&self) -> bool {
        self.inner().ready
    }

    /// When the program started.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// Says whether the program is ready.
    pub fn set_ready(&self, ready: bool) {
        self.inner().ready = ready;
    }

    /// Notes a configuration that was taken.
    pub fn config_loaded(&self, warnings: Vec<String>) {
        let mut inner = self.inner();
        inner.config.loaded = Some(Timestamp::now());
        inner.config.error = None;
        inner.config.warnings = warnings;
    }

    /// Notes a configuration that was not taken.
    pub fn config_refused(&self, error: String) {
        self.inner().config.error = Some(error);
    }

    /// Puts an account onto the status with the beats of its polls.
    pub fn add_account(&self, name: &str, api: &'static str, tasks: &[(Task, Duration)]) {
        let status = AccountStatus {
            name: name.to_owned(),
            api,
            watermark: None,
            tasks: tasks
                .iter()
                .map(|(task, every)| (*task, TaskStatus::new(*every)))
                .collect(),
        };
        self.inner().accounts.insert(name.to_owned(), status);
    }

    /// Takes an account off the status.
    pub fn remove_account(&self, name: &str) {
        self.inner().accounts.remove(name);
    }

    /// Changes what is known of an account and returns what came of it; nothing when it has been
    /// taken off the status.
    pub fn change_account(
        &self,
        name: &str,
        change: impl FnOnce(&mut AccountStatus),
    ) -> Option<AccountStatus> {
        let mut inner = self.inner();
        let account = inner.accounts.get_mut(name)?;
        change(account);
        Some(account.clone())
    }

    /// Sets where the status of the outputs is read from, once.
    pub fn set_outputs(&self, outputs: Arc<Outputs>, redactor: Arc<SecretRedactor>) {
        // A second call changes nothing: the outputs live as long as the program.
        let _ = self.outputs.set((outputs, redactor));
    }

    fn outputs(&self) -> Vec<OutputStatus> {
        let Some((outputs, redactor)) = self.outputs.get() else {
            return Vec::new();
        };
        let mut shown: Vec<_> = outputs
            .status()
            .into_iter()
            .map(|status| OutputStatus::new(status, redactor))
            .collect();
        shown.sort_by(|a, b| a.name.cmp(&b.name));
        shown
    }

    /// Changes what is known of the journal.
    pub fn change_journal(&self, change: impl FnOnce(&mut JournalStatus)) {
        change(&mut self.inner().journal);
    }
}

#[expect(clippy::ref_option, reason = "the signature that serde asks for")]
fn time<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(&format_args!("{time:.3}")),
        None => serializer.serialize_none(),
    }
}

fn moment<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(states: &[(Task, TaskState)]) -> AccountStatus {
        let status = StatusStore::new(std::path::Path::new("c.yml"));
        let tasks: Vec<_> = states
            .iter()
            .map(|(task, _)| (*task, Duration::from_mins(1)))
            .collect();
        status.add_account("acme", "hostedsuite", &tasks);
        status
            .change_account("acme", |account| {
                for (task, state) in states {
                    account.tasks.get_mut(task).unwrap().state = *state;
                }
            })
            .unwrap()
    }

    #[test]
    fn an_account_is_up_when_nothing_that_it_needs_fails() {
        use Task::{Balances, Calls, Clients};
        use TaskState::{Failing, Ok, Refused, Starting, Unavailable};
        assert_eq!(account(&[(Calls, Starting)]).up(), None);
        assert_eq!(
            account(&[(Calls, Ok), (Balances, Starting)]).up(),
            Some(true)
        );
        assert_eq!(
            account(&[(Calls, Ok), (Clients, Unavailable)]).up(),
            Some(true)
        );
        assert_eq!(
            account(&[(Calls, Ok), (Balances, Failing)]).up(),
            Some(false)
        );
        assert_eq!(account(&[(Calls, Refused)]).up(), Some(false));
    }

    #[test]
    fn an_account_that_was_removed_is_not_brought_back() {
        let status = StatusStore::new(std::path::Path::new("c.yml"));
        status.add_account("acme", "hostedsuite", &[]);
        status.remove_account("acme");
        assert!(status.change_account("acme", |_| ()).is_none());
        assert!(status.status().accounts.is_empty());
    }
}
