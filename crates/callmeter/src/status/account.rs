//! The state of an account and of its polls.

use std::collections::BTreeMap;
use std::time::Duration;

use callmeter_journal::PageCounts;
use callmeter_meter::{AccountGauges, Api};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};

use super::json::{date, optional_seconds, optional_time, seconds};

/// What is polled of an account. Each task has its own interval.
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

/// The state of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// The first poll has not ended.
    Starting,
    /// The last poll read everything.
    Ok,
    /// The last poll stopped at a cap. What it read is valid, the rest is unread.
    Truncated,
    /// The last poll failed. It is retried.
    Failing,
    /// The login or the permission was refused. It is retried, but rarely.
    Refused,
    /// The user has no permission to read this optional list.
    Unavailable,
}

/// How a poll ended. Texts contain neither secrets nor personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PollEnd {
    /// It read everything.
    Ok {
        /// What it found.
        found: String,
    },
    /// It stopped at a cap.
    Truncated {
        /// What it found.
        found: String,
        /// The cap.
        cap: String,
    },
    /// It failed.
    Failing {
        /// The error with its causes.
        error: String,
        /// The value of the label `reason`.
        reason: &'static str,
    },
    /// The login or the permission was refused.
    Refused {
        /// The error with its causes.
        error: String,
        /// The value of the label `reason`.
        reason: &'static str,
    },
    /// The user has no permission to read this optional list.
    Unavailable {
        /// The error with its causes.
        error: String,
    },
}

impl PollEnd {
    /// The state of the task after this poll.
    pub fn state(&self) -> TaskState {
        match self {
            Self::Ok { .. } => TaskState::Ok,
            Self::Truncated { .. } => TaskState::Truncated,
            Self::Failing { .. } => TaskState::Failing,
            Self::Refused { .. } => TaskState::Refused,
            Self::Unavailable { .. } => TaskState::Unavailable,
        }
    }
}

/// The status of one task of an account.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskStatus {
    /// Its state.
    pub state: TaskState,
    /// Whether it is being polled now.
    pub running: bool,
    /// The interval between the starts of two polls, in seconds.
    #[serde(rename = "every_seconds", serialize_with = "seconds")]
    pub every: Duration,
    /// When the last poll started.
    #[serde(serialize_with = "optional_time")]
    pub last_start: Option<Timestamp>,
    /// When the last successful poll ended.
    #[serde(serialize_with = "optional_time")]
    pub last_success: Option<Timestamp>,
    /// When the next poll starts.
    #[serde(serialize_with = "optional_time")]
    pub next: Option<Timestamp>,
    /// Consecutive failures up to now.
    pub failures: u32,
    /// When the first of them ended.
    #[serde(serialize_with = "optional_time")]
    pub failing_since: Option<Timestamp>,
    /// Why the last poll failed or was truncated; `None` if it did not.
    pub error: Option<String>,
    /// What the last successful poll found.
    pub found: Option<String>,
}

impl TaskStatus {
    pub(super) fn new(every: Duration) -> Self {
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

    pub(super) fn ended(&mut self, end: &PollEnd, now: Timestamp) {
        self.running = false;
        self.state = end.state();
        match end {
            PollEnd::Ok { found } | PollEnd::Truncated { found, .. } => {
                self.failures = 0;
                self.failing_since = None;
                self.last_success = Some(now);
                self.found = Some(found.clone());
            }
            PollEnd::Failing { .. } | PollEnd::Refused { .. } | PollEnd::Unavailable { .. } => {
                self.failures = self.failures.saturating_add(1);
                self.failing_since.get_or_insert(now);
            }
        }
        self.error = match end {
            PollEnd::Ok { .. } => None,
            PollEnd::Truncated { cap: error, .. }
            | PollEnd::Failing { error, .. }
            | PollEnd::Refused { error, .. }
            | PollEnd::Unavailable { error } => Some(error.clone()),
        };
    }
}

/// How far an account's calls have been read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallsProgress {
    /// The end of what is proven complete without a gap. It does not move back.
    #[serde(serialize_with = "optional_time")]
    pub watermark: Option<Timestamp>,
    /// The time before which no day misses calls.
    #[serde(serialize_with = "optional_time")]
    pub complete_until: Option<Timestamp>,
    /// The days that may miss calls.
    pub unproven: Vec<UnprovenDay>,
    /// Calls that were read but do not count yet, because they have not settled.
    pub waiting: u64,
    /// How far the server's clock is ahead, in seconds.
    #[serde(rename = "clock_skew_seconds", serialize_with = "optional_seconds")]
    pub clock_skew: Option<SignedDuration>,
    /// Why the newest calls are not looked for at the end of the list; `None` if they are, or if
    /// the configuration says so.
    pub tail: Option<String>,
    /// Requests for calls that were sent in the last hour.
    pub requests_last_hour: u64,
    /// Requests for calls that `calls.max_requests_per_minute` allows in an hour.
    pub requests_per_hour: u64,
    /// Requests for calls that the configured intervals need in an hour.
    pub requests_needed_per_hour: u64,
}

/// New calls of a poll that deserve attention.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NotableCalls {
    /// The reading of a whole day found them, and they had settled before the last tail.
    pub found_by_audit: u64,
    /// They say they lasted longer than a day.
    pub implausible: u64,
}

/// A day that may miss calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnprovenDay {
    /// The date in the account's time zone.
    #[serde(serialize_with = "date")]
    pub date: Date,
    /// Whether an operator asked for it. Such days do not make the account count as down.
    pub asked: bool,
    /// Why it may miss calls.
    pub reason: String,
}

impl CallsProgress {
    /// Whether a day is unproven that nobody had to ask for.
    pub(super) fn is_behind(&self) -> bool {
        self.unproven.iter().any(|day| !day.asked)
    }
}

/// The status of one account.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccountStatus {
    /// Its name.
    pub name: String,
    /// Its API, `hostedsuite` or `portsip`.
    #[serde(serialize_with = "api_label")]
    pub api: Api,
    /// Consecutive failures after which the values of the last successful poll are not shown.
    #[serde(skip)]
    pub stale_after: u32,
    /// How far its calls have been read; `None` before the first poll of them has ended.
    pub calls: Option<CallsProgress>,
    /// Its tasks.
    pub tasks: BTreeMap<Task, TaskStatus>,
}

impl AccountStatus {
    /// Whether the last poll of every task succeeded, and no day of calls is unproven although it
    /// was due; `None` before the first poll has ended. An
    /// unavailable optional list does not count.
    pub fn up(&self) -> Option<bool> {
        let mut known = false;
        if self.calls.as_ref().is_some_and(CallsProgress::is_behind) {
            return Some(false);
        }
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

    /// Whether a task failed `stale_after` times or more since any task of the account succeeded.
    pub fn is_stale(&self) -> bool {
        let last_success = self.last_success();
        self.tasks
            .values()
            .any(|task| task.failures >= self.stale_after && task.failing_since > last_success)
    }

    /// When a poll of the account last succeeded.
    pub fn last_success(&self) -> Option<Timestamp> {
        self.tasks
            .values()
            .filter_map(|task| task.last_success)
            .max()
    }

    /// The account's gauges in the metrics. `counts` are those since the process started.
    pub(super) fn gauges(&self, counts: &PageCounts) -> AccountGauges {
        AccountGauges {
            up: self.up(),
            stale: self.is_stale(),
            last_success: self.last_success().map(Timestamp::as_microsecond),
            watermark: self
                .calls
                .as_ref()
                .and_then(|calls| calls.watermark)
                .map(Timestamp::as_microsecond),
            late: counts.late,
            duplicate: counts.known + counts.repeated,
            outside_window: counts.outside_window,
            forgotten: counts.forgotten,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference to the field"
)]
fn api_label<S: Serializer>(api: &Api, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(api.label())
}
