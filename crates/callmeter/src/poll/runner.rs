//! The loop of one poll of one account: waits, runs, and says everywhere how it went.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::error::PollError;
use super::login_backoff::LoginBackoff;
use super::schedule::{Ending, Plan, Schedule};

use crate::config::SecretSource;
use crate::context::AppContext;
use crate::status::{Task, TaskState};
use crate::stop::Stop;

/// What all polls of an account share.
#[derive(Debug, Clone)]
pub(super) struct AccountContext {
    pub(super) account: Arc<str>,
    pub(super) password: SecretSource,
    pub(super) stale_after: u32,
    pub(super) login: Arc<LoginBackoff>,
    pub(super) app: AppContext,
    pub(super) stop: Stop,
}

/// What a poll that did not fail has to say.
#[derive(Debug, Default)]
pub(super) struct Polled {
    /// What it found, in plain words and without personal data.
    pub(super) found: String,
    /// The cap at which it stopped, in plain words; nothing when it read everything.
    pub(super) truncated: Option<String>,
}

/// One poll, run again and again.
pub(super) trait Poll: Send {
    /// Which it is.
    fn task(&self) -> Task;
    /// Runs once.
    fn run(&mut self) -> impl Future<Output = Result<Polled, PollError>> + Send;
    /// Takes off the metrics what its last good run said, since that is too old.
    fn vanish(&mut self);
    /// Whether the account does without it when it may not be read.
    fn is_optional(&self) -> bool {
        false
    }
}

/// How often a poll looks whether a shut login gate has opened.
const GATE_CHECK: Duration = Duration::from_secs(5);

/// Runs a poll at its schedule until stopped.
pub(super) async fn drive(context: AccountContext, mut poll: impl Poll, mut schedule: Schedule) {
    let task = poll.task();
    let mut next = schedule.first();
    loop {
        context.note_next(task, next);
        if !context.wait_for_turn(task, next).await {
            return;
        }
        context.note_start(task);
        let start = Instant::now();
        // A panic ends this run, not the loop.
        let run = AssertUnwindSafe(poll.run()).catch_unwind();
        let result = run
            .await
            .unwrap_or_else(|panic| Err(PollError::panicked(&*panic)));
        if matches!(result, Err(PollError::Stopped)) || context.stop.is_stopped() {
            return;
        }
        let labels = [&*context.account, task.label()];
        let metrics = &context.app.metrics;
        let seconds = start.elapsed().as_secs_f64();
        metrics
            .poll_duration
            .with_label_values(&labels)
            .observe(seconds);
        let ending = context.note_end(&mut poll, &result);
        let Plan { at, skipped } = schedule.after(ending, Instant::now());
        if skipped > 0 {
            metrics
                .polls_skipped
                .with_label_values(&labels)
                .inc_by(skipped);
            debug!(
                account = &*context.account,
                task = task.label(),
                skipped,
                "poll outlasted its beat"
            );
        }
        // The gate may open long before the next stroke of a slow beat.
        next = match ending {
            Ending::Refused => at.min(Instant::now() + GATE_CHECK),
            _ => at,
        };
    }
}

impl AccountContext {
    /// Counts rows of an answer that could not be read at all.
    pub(super) fn count_unreadable(&self, task: Task, rows: u64) {
        if rows > 0 {
            self.app
                .metrics
                .records_unreadable
                .with_label_values(&[&*self.account, task.label()])
                .inc_by(rows);
        }
    }

    /// Waits for the poll's time and for an open login gate; false when it is time to end.
    async fn wait_for_turn(&self, task: Task, at: Instant) -> bool {
        let mut stop = self.stop.clone();
        let mut at = at;
        loop {
            let sleep = tokio::time::sleep_until(at);
            if stop.unless_stopped(sleep).await.is_none() {
                return false;
            }
            let Some((reason, until)) = self.login.state() else {
                return true;
            };
            let password = self.app.redactor.read(&self.password).ok();
            let now = Instant::now();
            if self.login.may_attempt(password.as_ref(), now) {
                return true;
            }
            self.note_shut(task, &reason, until);
            at = now + GATE_CHECK;
        }
    }

    /// Shows that a poll does not run because the account's login was refused.
    fn note_shut(&self, task: Task, reason: &str, until: Instant) {
        self.app.status.change_account(&self.account, |account| {
            if let Some(status) = account.tasks.get_mut(&task) {
                status.state = TaskState::Refused;
                status.error = Some(reason.to_owned());
            }
        });
        self.note_next(task, until);
    }

    fn note_next(&self, task: Task, at: Instant) {
        let next = Timestamp::now()
            .checked_add(at.saturating_duration_since(Instant::now()))
            .ok();
        self.app.status.change_account(&self.account, |account| {
            if let Some(status) = account.tasks.get_mut(&task) {
                status.next = next;
            }
        });
    }

    fn note_start(&self, task: Task) {
        self.app
            .metrics
            .polls
            .with_label_values(&[&*self.account, task.label()])
            .inc();
        self.app.status.change_account(&self.account, |account| {
            if let Some(status) = account.tasks.get_mut(&task) {
                status.running = true;
                status.last_start = Some(Timestamp::now());
            }
        });
    }

    /// Tells log, metrics, status and meter how a run went.
    fn note_end(&self, poll: &mut impl Poll, result: &Result<Polled, PollError>) -> Ending {
        let task = poll.task();
        let optional = poll.is_optional();
        let now = Timestamp::now();
        let mut before = TaskState::Starting;
        let mut failures = 0;
        let account = self.app.status.change_account(&self.account, |account| {
            let Some(status) = account.tasks.get_mut(&task) else {
                return;
            };
            before = status.state;
            status.running = false;
            status.state = state_after(result, optional);
            match result {
                Ok(polled) => {
                    status.failures = 0;
                    status.failing_since = None;
                    status.last_success = Some(now);
                    status.found = Some(polled.found.clone());
                    status.error.clone_from(&polled.truncated);
                }
                Err(error) => {
                    status.failures = status.failures.saturating_add(1);
                    status.failing_since.get_or_insert(now);
                    status.error = Some(self.app.redactor.scrub(&crate::error_chain::chain(error)));
                }
            }
            failures = status.failures;
        });
        self.log_end(task, before, result, optional);
        self.count_end(task, result, optional);
        if failures == self.stale_after {
            poll.vanish();
        }
        if let Some(account) = account {
            let stale = account.is_stale(self.stale_after);
            let micros = account.last_success().map(Timestamp::as_microsecond);
            self.app.meter.update(|ledger| {
                ledger.set_gauges(&self.account, |state| {
                    state.up = account.up();
                    state.stale = stale;
                    state.last_success = micros;
                });
            });
        }
        let ending = match result {
            Ok(_) => Ending::Done,
            Err(error) => error.ending(),
        };
        match (ending, result) {
            (Ending::Refused, Err(error)) => {
                let reason = self.app.redactor.scrub(&crate::error_chain::chain(error));
                let password = self.app.redactor.read(&self.password).ok();
                self.login.refused(password, &reason, Instant::now());
            }
            (Ending::Done | Ending::Denied, _) => self.login.accepted(),
            _ => {}
        }
        ending
    }

    fn log_end(
        &self,
        task: Task,
        before: TaskState,
        result: &Result<Polled, PollError>,
        optional: bool,
    ) {
        let account = &*self.account;
        let task = task.label();
        let after = state_after(result, optional);
        match result {
            Ok(Polled { found, truncated }) => {
                debug!(account, task, found, "polled");
                if let Some(cap) = truncated {
                    warn!(
                        account,
                        task, cap, "poll stopped at a cap; the rest is read by the next ones"
                    );
                } else if matches!(
                    before,
                    TaskState::Failing | TaskState::Refused | TaskState::Truncated
                ) {
                    info!(account, task, "poll works again");
                }
            }
            Err(error) if after == TaskState::Unavailable => {
                if before != after {
                    info!(account, task, error = %crate::error_chain::chain(error), "not readable for this user; doing without");
                }
            }
            Err(error) if before == after => {
                debug!(account, task, error = %crate::error_chain::chain(error), "poll failed again");
            }
            Err(error) => {
                warn!(account, task, error = %crate::error_chain::chain(error), "poll failed; trying again");
            }
        }
    }

    fn count_end(&self, task: Task, result: &Result<Polled, PollError>, optional: bool) {
        let account = &*self.account;
        match result {
            Ok(polled) if polled.truncated.is_some() => self
                .app
                .metrics
                .polls_truncated
                .with_label_values(&[account, task.label()])
                .inc(),
            Err(error) if state_after(result, optional) != TaskState::Unavailable => self
                .app
                .metrics
                .poll_failures
                .with_label_values(&[account, task.label(), error.reason()])
                .inc(),
            _ => {}
        }
    }
}

fn state_after(result: &Result<Polled, PollError>, optional: bool) -> TaskState {
    match result {
        Ok(polled) if polled.truncated.is_some() => TaskState::Truncated,
        Ok(_) => TaskState::Ok,
        Err(error) if optional && error.is_permission_denied() => TaskState::Unavailable,
        Err(error) if matches!(error.ending(), Ending::Refused | Ending::Denied) => {
            TaskState::Refused
        }
        Err(_) => TaskState::Failing,
    }
}
