//! When a task is polled next: at a fixed interval, spread over the accounts, with longer pauses
//! after failures.

use std::time::Duration;

use tokio::time::Instant;

/// How a poll ended, as far as the next one depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It read what it could.
    Succeeded,
    /// It read a part. What failed has pauses of its own.
    Partial,
    /// It failed and may succeed later.
    Failed {
        /// The wait that the server's `Retry-After` asked for.
        retry_after: Option<Duration>,
    },
    /// The login was refused. The interval stays; `LoginBackoff` says which poll may sign in.
    LoginRefused,
    /// The permission to read this was refused. It is unlikely to be granted soon.
    PermissionDenied,
}

/// The next poll of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NextPoll {
    /// When it starts.
    pub(super) at: Instant,
    /// Polls that were left out because the last one was still running. They are not made up for.
    pub(super) skipped: u64,
}

/// Longest pause after failures.
const MAX_BACKOFF: Duration = Duration::from_mins(15);
/// First and longest pause after a permission was refused.
const DENIED_FIRST: Duration = Duration::from_mins(5);
const DENIED_MAX: Duration = Duration::from_hours(1);
/// Longest `Retry-After` that is followed.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
/// The first polls of all accounts are spread over this time.
const START_SPREAD: Duration = Duration::from_secs(10);

/// The schedule of one task of one account.
#[derive(Debug)]
pub(super) struct Schedule {
    interval: Duration,
    /// When the next poll is due.
    tick: Instant,
    failures: u32,
}

impl Schedule {
    /// A schedule for the account number `index` of `accounts`. First polls are spread, so that a
    /// hundred accounts do not start at the same moment, neither now nor at later ticks.
    pub(super) fn new(interval: Duration, index: usize, accounts: usize, now: Instant) -> Self {
        let share = f64::from(u32::try_from(index).unwrap_or(u32::MAX))
            / f64::from(u32::try_from(accounts.max(1)).unwrap_or(u32::MAX));
        let offset = interval.min(START_SPREAD).mul_f64(share.clamp(0.0, 1.0));
        Self {
            interval,
            tick: now + offset,
            failures: 0,
        }
    }

    /// When the first poll starts.
    pub(super) fn first(&self) -> Instant {
        self.tick
    }

    /// Plans the poll after one that ended at `now`.
    pub(super) fn next(&mut self, outcome: Outcome, now: Instant) -> NextPoll {
        let mut skipped = 0;
        self.tick += self.interval;
        if self.tick <= now {
            let behind = (now - self.tick).as_nanos() / self.interval.as_nanos().max(1) + 1;
            let behind = u32::try_from(behind).unwrap_or(u32::MAX);
            skipped = u64::from(behind);
            self.tick += self.interval * behind;
        }
        self.failures = match outcome {
            Outcome::Succeeded | Outcome::Partial | Outcome::LoginRefused => 0,
            Outcome::Failed { .. } | Outcome::PermissionDenied => self.failures.saturating_add(1),
        };
        let wait = match outcome {
            Outcome::Succeeded | Outcome::Partial | Outcome::LoginRefused => Duration::ZERO,
            Outcome::Failed { retry_after } => {
                callmeter_backoff::wait(self.failures, self.interval, MAX_BACKOFF)
                    .max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER))
            }
            Outcome::PermissionDenied => {
                callmeter_backoff::wait(self.failures, DENIED_FIRST, DENIED_MAX)
            }
        };
        // After a pause the ticks continue from its end.
        self.tick = self.tick.max(now + wait);
        NextPoll {
            at: self.tick,
            skipped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn start() -> (Schedule, Instant) {
        let now = Instant::now();
        (Schedule::new(MINUTE, 0, 1, now), now)
    }

    #[test]
    fn a_quick_poll_keeps_the_interval() {
        let (mut schedule, start) = start();
        let plan = schedule.next(Outcome::Succeeded, start + Duration::from_secs(7));
        assert_eq!(
            plan,
            NextPoll {
                at: start + MINUTE,
                skipped: 0
            }
        );
        let plan = schedule.next(Outcome::Succeeded, start + MINUTE + Duration::from_secs(3));
        assert_eq!(
            plan,
            NextPoll {
                at: start + 2 * MINUTE,
                skipped: 0
            }
        );
    }

    #[test]
    fn a_poll_in_progress_makes_the_next_skip_and_count() {
        let (mut schedule, start) = start();
        let plan = schedule.next(
            Outcome::Succeeded,
            start + 2 * MINUTE + Duration::from_secs(30),
        );
        assert_eq!(
            plan,
            NextPoll {
                at: start + 3 * MINUTE,
                skipped: 2
            }
        );
    }

    #[test]
    fn pauses_grow_with_failures_and_end_with_a_success() {
        let (mut schedule, mut now) = start();
        let failed = Outcome::Failed { retry_after: None };
        let mut waits = Vec::new();
        for _ in 0..8 {
            let plan = schedule.next(failed, now);
            waits.push((plan.at - now).as_secs());
            now = plan.at;
        }
        for (wait, least) in waits.iter().zip([60, 120, 240, 480, 900, 900, 900, 900]) {
            assert!((least..=least + least / 5).contains(wait), "{waits:?}");
        }
        let plan = schedule.next(Outcome::Succeeded, now);
        assert_eq!(plan.at - now, MINUTE);
        assert_eq!(
            (schedule.next(failed, plan.at).at - plan.at).as_secs() / 60,
            1
        );
    }

    #[test]
    fn retry_after_is_followed_up_to_an_hour() {
        let (mut schedule, now) = start();
        let failed = |seconds| Outcome::Failed {
            retry_after: Some(Duration::from_secs(seconds)),
        };
        let plan = schedule.next(failed(200), now);
        assert_eq!((plan.at - now).as_secs(), 200);
        let later = schedule.next(failed(86_400), plan.at);
        assert_eq!((later.at - plan.at).as_secs(), 3_600);
    }

    #[test]
    fn a_refused_permission_is_retried_rarely() {
        let (mut schedule, mut now) = start();
        let begin = now;
        let mut attempts = 0;
        while now - begin < Duration::from_hours(24) {
            now = schedule.next(Outcome::PermissionDenied, now).at;
            attempts += 1;
        }
        assert!(attempts <= 30, "{attempts} attempts in a day");
    }

    #[test]
    fn accounts_start_spread_over_a_few_seconds() {
        let now = Instant::now();
        let starts: Vec<u64> = (0..5)
            .map(|place| (Schedule::new(MINUTE, place, 5, now).first() - now).as_secs())
            .collect();
        assert_eq!(starts, [0, 2, 4, 6, 8]);
    }
}
