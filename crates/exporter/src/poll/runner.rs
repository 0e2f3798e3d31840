//! The loop of one poll of one account: waits, runs, and says everywhere how it went.

use std::sync::Arc;
use std::time::Duration;

use client_support::Secret;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::error::PollError;
use super::schedule::{Ending, Plan, Schedule};

use crate::config::SecretSource;
use crate::program::Program;
use crate::status::{Task, TaskState};
use crate::stop::Stop;

/// What all polls of an account share.
#[derive(Debug, Clone)]
pub(super) struct AccountContext {
    pub(super) account: Arc<str>,
    pub(super) password: SecretSource,
    pub(super) stale_after: u32,
    pub(super) program: Program,
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

/// How often a refused password is looked at for a change.
const SECRET_CHECK: Duration = Duration::from_secs(5);

/// Runs a poll at its schedule until stopped.
pub(super) async fn drive(context: AccountContext, mut poll: impl Poll, mut schedule: Schedule) {
    let task = poll.task();
    let mut wait = Wait {
        at: schedule.first(),
        refused: None,
    };
    loop {
        context.note_next(task, wait.at);
        if !wait.over(&context, &mut schedule).await {
            return;
        }
        context.note_start(task);
        let start = Instant::now();
        let result = poll.run().await;
        if matches!(result, Err(PollError::Stopped)) || context.stop.is_stopped() {
            return;
        }
        let labels = [&*context.account, task.label()];
        let seconds = start.elapsed().as_secs_f64();
        context
            .program
            .metrics
            .poll_duration
            .with_label_values(&labels)
            .observe(seconds);
        let ending = context.note_end(&mut poll, &result);
        let Plan { at, skipped } = schedule.after(ending, Instant::now());
        if skipped > 0 {
            context
                .program
                .metrics
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
        wait = Wait {
            at,
            refused: match ending {
                Ending::Refused => context.password.read().ok(),
                _ => None,
            },
        };
    }
}

/// The time until the next run.
struct Wait {
    at: Instant,
    /// The password that was refused: once it changes there is no point in waiting on.
    refused: Option<Secret>,
}

impl Wait {
    /// Waits; false when it is time to end.
    async fn over(&self, context: &AccountContext, schedule: &mut Schedule) -> bool {
        let mut stop = context.stop.clone();
        loop {
            let at = match &self.refused {
                Some(_) => self.at.min(Instant::now() + SECRET_CHECK),
                None => self.at,
            };
            if stop
                .unless_stopped(tokio::time::sleep_until(at))
                .await
                .is_none()
            {
                return false;
            }
            if Instant::now() >= self.at {
                return true;
            }
            if let Ok(secret) = context.program.vault.read(&context.password)
                && Some(&secret) != self.refused.as_ref()
            {
                info!(
                    account = &*context.account,
                    "the refused password has changed; trying again"
                );
                schedule.forgive();
                return true;
            }
        }
    }
}

impl AccountContext {
    /// Counts rows of an answer that could not be read at all.
    pub(super) fn count_unreadable(&self, task: Task, rows: u64) {
        if rows > 0 {
            self.program
                .metrics
                .records_unreadable
                .with_label_values(&[&*self.account, task.label()])
                .inc_by(rows);
        }
    }

    fn note_next(&self, task: Task, at: Instant) {
        let next = Timestamp::now()
            .checked_add(at.saturating_duration_since(Instant::now()))
            .ok();
        self.program.board.change_account(&self.account, |account| {
            if let Some(status) = account.tasks.get_mut(&task) {
                status.next = next;
            }
        });
    }

    fn note_start(&self, task: Task) {
        self.program
            .metrics
            .polls
            .with_label_values(&[&*self.account, task.label()])
            .inc();
        self.program.board.change_account(&self.account, |account| {
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
        let account = self.program.board.change_account(&self.account, |account| {
            let Some(status) = account.tasks.get_mut(&task) else {
                return;
            };
            before = status.state;
            status.running = false;
            status.state = state_after(result, optional);
            match result {
                Ok(polled) => {
                    status.failures = 0;
                    status.last_success = Some(now);
                    status.found = Some(polled.found.clone());
                    status.error.clone_from(&polled.truncated);
                }
                Err(error) => {
                    status.failures = status.failures.saturating_add(1);
                    status.error = Some(self.program.vault.scrub(&crate::words::chain(error)));
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
            let stale = account
                .tasks
                .values()
                .all(|task| task.failures >= self.stale_after);
            let micros = account.last_success().map(Timestamp::as_microsecond);
            self.program.meter.update(|ledger| {
                ledger.set_state(&self.account, |state| {
                    state.up = account.up();
                    state.stale = stale;
                    state.last_success = micros;
                });
            });
        }
        match result {
            Ok(_) => Ending::Done,
            Err(error) => error.ending(),
        }
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
                    info!(account, task, error = %crate::words::chain(error), "not readable for this user; doing without");
                }
            }
            Err(error) if before == after => {
                debug!(account, task, error = %crate::words::chain(error), "poll failed again");
            }
            Err(error) => {
                warn!(account, task, error = %crate::words::chain(error), "poll failed; trying again");
            }
        }
    }

    fn count_end(&self, task: Task, result: &Result<Polled, PollError>, optional: bool) {
        let account = &*self.account;
        match result {
            Ok(polled) if polled.truncated.is_some() => self
                .program
                .metrics
                .polls_truncated
                .with_label_values(&[account, task.label()])
                .inc(),
            Err(error) if state_after(result, optional) != TaskState::Unavailable => self
                .program
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
        Err(error) if error.ending() == Ending::Refused => TaskState::Refused,
        Err(_) => TaskState::Failing,
    }
}
