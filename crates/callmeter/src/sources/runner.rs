//! The loop of one task of one account: waits, polls, and reports how the poll ended.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::error::PollError;
use super::poll::{AccountContext, Poll, Polled};
use super::schedule::{NextPoll, Outcome, Schedule};
use crate::status::{PollEnd, Task, TaskState};
use callmeter_error_chain::chain;

/// The interval at which a poll checks whether a refused login may be tried again.
const LOGIN_CHECK: Duration = Duration::from_secs(5);

/// Polls at the schedule until stopped.
pub(super) async fn run(context: AccountContext, mut poll: impl Poll, mut schedule: Schedule) {
    let task = poll.task();
    let account = &*context.account;
    let accounts = context.app.status.accounts();
    let mut next = schedule.first();
    loop {
        accounts.poll_planned(account, task, timestamp(next));
        if !wait_until_due(&context, task, next).await {
            return;
        }
        accounts.poll_started(account, task);
        let start = Instant::now();
        // A panic ends this poll, not the loop.
        let result = AssertUnwindSafe(poll.run()).catch_unwind().await;
        let result = result.unwrap_or_else(|panic| Err(PollError::panicked(&*panic)));
        if matches!(result, Err(PollError::Stopped)) || context.stop.is_stopped() {
            return;
        }
        let outcome = report(&context, &mut poll, &result, start.elapsed());
        let NextPoll { at, skipped } = schedule.next(outcome, Instant::now());
        if skipped > 0 {
            accounts.polls_skipped(account, task, skipped);
            let task = task.label();
            debug!(account, task, skipped, "poll took longer than its interval");
        }
        // The login may be tried again long before the next tick of a long interval.
        next = match outcome {
            Outcome::LoginRefused => at.min(Instant::now() + LOGIN_CHECK),
            _ => at,
        };
    }
}

/// Waits until the poll is due and its login may be tried; false if the account is being stopped.
async fn wait_until_due(context: &AccountContext, task: Task, mut at: Instant) -> bool {
    let mut stop = context.stop.clone();
    loop {
        let sleep = tokio::time::sleep_until(at);
        if stop.unless_stopped(sleep).await.is_none() {
            return false;
        }
        let Some((reason, until)) = context.login.refusal() else {
            return true;
        };
        let password = context.app.redactor.read(&context.password).ok();
        let now = Instant::now();
        if context.login.may_attempt(password.as_ref(), now) {
            return true;
        }
        let accounts = context.app.status.accounts();
        accounts.login_refused(&context.account, task, &reason, timestamp(until));
        at = now + LOGIN_CHECK;
    }
}

/// Reports how a poll ended: to the status, the log and the account's login.
fn report(
    context: &AccountContext,
    poll: &mut impl Poll,
    result: &Result<Polled, PollError>,
    took: Duration,
) -> Outcome {
    let task = poll.task();
    let end = poll_end(context, result, poll.is_optional());
    let accounts = context.app.status.accounts();
    if let Some(transition) = accounts.poll_ended(&context.account, task, &end, took) {
        log(&context.account, task, transition.before, &end);
        if transition.stale {
            poll.remove_gauges();
        }
    }
    let outcome = match result {
        Ok(_) => Outcome::Succeeded,
        Err(error) => error.outcome(),
    };
    match (outcome, &end) {
        (Outcome::LoginRefused, PollEnd::Refused { error, .. }) => {
            let password = context.app.redactor.read(&context.password).ok();
            context.login.refused(password, error, Instant::now());
        }
        (Outcome::Succeeded | Outcome::Partial | Outcome::PermissionDenied, _) => {
            context.login.accepted();
        }
        _ => {}
    }
    outcome
}

fn poll_end(
    context: &AccountContext,
    result: &Result<Polled, PollError>,
    optional: bool,
) -> PollEnd {
    let error = match result {
        Ok(Polled { found, truncated }) => {
            let found = found.clone();
            return match truncated.clone() {
                None => PollEnd::Ok { found },
                Some(cap) => PollEnd::Truncated { found, cap },
            };
        }
        Err(error) => error,
    };
    let (outcome, reason) = (error.outcome(), error.reason());
    let error = context.app.redactor.scrub(&chain(error));
    match outcome {
        Outcome::PermissionDenied if optional => PollEnd::Unavailable { error },
        Outcome::LoginRefused | Outcome::PermissionDenied => PollEnd::Refused { error, reason },
        Outcome::Succeeded | Outcome::Partial | Outcome::Failed { .. } => {
            PollEnd::Failing { error, reason }
        }
    }
}

/// Logs a change of state at `info` or `warn`, everything else at `debug`.
fn log(account: &str, task: Task, before: TaskState, end: &PollEnd) {
    let task = task.label();
    let after = end.state();
    match end {
        PollEnd::Ok { found } => {
            debug!(account, task, found, "polled");
            if matches!(
                before,
                TaskState::Failing | TaskState::Refused | TaskState::Truncated
            ) {
                info!(account, task, "poll works again");
            }
        }
        PollEnd::Truncated { found, cap } => {
            debug!(account, task, found, "polled");
            warn!(
                account,
                task, cap, "poll stopped at a cap; the next polls read the rest"
            );
        }
        PollEnd::Unavailable { error } if before != after => {
            info!(
                account,
                task, error, "the user may not read this optional list"
            );
        }
        PollEnd::Failing { error, .. } | PollEnd::Refused { error, .. } if before != after => {
            warn!(account, task, error, "poll failed; trying again");
        }
        PollEnd::Unavailable { error }
        | PollEnd::Failing { error, .. }
        | PollEnd::Refused { error, .. } => {
            debug!(account, task, error, "poll failed again");
        }
    }
}

/// The time of day of a moment in the future.
fn timestamp(at: Instant) -> Option<Timestamp> {
    let wait = at.saturating_duration_since(Instant::now());
    Timestamp::now().checked_add(wait).ok()
}
