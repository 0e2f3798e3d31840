//! When a poll runs next: a steady beat, spread over the accounts, that gives way to failures.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// How a poll ended, as far as its next start depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It did what it should.
    Done,
    /// It failed in a way that may pass. The server may have named the time to wait.
    Failed {
        /// What `Retry-After` asked for.
        retry_after: Option<Duration>,
    },
    /// The login was refused. The beat goes on; the account's login gate says which stroke may knock.
    Refused,
    /// The right to read this was refused. It will not come back by itself soon.
    Denied,
}

/// What follows from an ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// When the next poll starts.
    pub(super) at: Instant,
    /// The beats that passed while this poll ran; none of them is made up for.
    pub(super) skipped: u64,
}

/// Longest pause after failures that may pass.
const MAX_BACK_OFF: Duration = Duration::from_mins(15);
/// First and longest pause after a right was refused.
const DENIED_FIRST: Duration = Duration::from_mins(5);
const DENIED_MAX: Duration = Duration::from_hours(1);
/// Longest time that a server's `Retry-After` is followed.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);
/// Within this time of the start all polls have begun.
const START_SPREAD: Duration = Duration::from_secs(10);

/// The beat of one poll of one account.
#[derive(Debug)]
pub(super) struct Schedule {
    every: Duration,
    beat: Instant,
    failures: u32,
}

impl Schedule {
    /// A beat of `every` whose first stroke comes at `place`/`of` of the first seconds, so that a
    /// hundred accounts do not start in the same instant, then or later.
    pub(super) fn new(every: Duration, place: usize, of: usize, now: Instant) -> Self {
        let share = f64::from(u32::try_from(place).unwrap_or(u32::MAX))
            / f64::from(u32::try_from(of.max(1)).unwrap_or(u32::MAX));
        let offset = every.min(START_SPREAD).mul_f64(share.clamp(0.0, 1.0));
        Self {
            every,
            beat: now + offset,
            failures: 0,
        }
    }

    /// When the first poll starts.
    pub(super) fn first(&self) -> Instant {
        self.beat
    }

    /// Plans the poll after one that ended at `now`.
    pub(super) fn after(&mut self, ending: Ending, now: Instant) -> Plan {
        let mut skipped = 0;
        self.beat += self.every;
        if self.beat <= now {
            let behind = (now - self.beat).as_nanos() / self.every.as_nanos().max(1) + 1;
            let behind = u32::try_from(behind).unwrap_or(u32::MAX);
            skipped = u64::from(behind);
            self.beat += self.every * behind;
        }
        let wait = match ending {
            Ending::Done | Ending::Refused => {
                self.failures = 0;
                return Plan {
                    at: self.beat,
                    skipped,
                };
            }
            Ending::Failed { retry_after } => {
                self.failures = self.failures.saturating_add(1);
                let back_off = doubled(self.every, self.failures - 1).min(MAX_BACK_OFF);
                with_jitter(back_off).max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER))
            }
            Ending::Denied => {
                self.failures = self.failures.saturating_add(1);
                with_jitter(doubled(DENIED_FIRST, self.failures - 1).min(DENIED_MAX))
            }
        };
        // Failing polls leave the beat; the first that succeeds is the beat's new stroke.
        self.beat = self.beat.max(now + wait);
        Plan {
            at: self.beat,
            skipped,
        }
    }
}

pub(super) fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times.min(20)).unwrap_or(u32::MAX))
}

/// Up to a fifth more, so that accounts that failed together do not come back together.
pub(super) fn with_jitter(wait: Duration) -> Duration {
    // The standard library's hash seed is random and needs no further crate.
    let random = RandomState::new().build_hasher().finish();
    let share = f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    wait + wait.mul_f64(share / 5.0)
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
    fn a_quick_poll_keeps_the_beat() {
        let (mut schedule, start) = start();
        let plan = schedule.after(Ending::Done, start + Duration::from_secs(7));
        assert_eq!(
            plan,
            Plan {
                at: start + MINUTE,
                skipped: 0
            }
        );
        let plan = schedule.after(Ending::Done, start + MINUTE + Duration::from_secs(3));
        assert_eq!(
            plan,
            Plan {
                at: start + 2 * MINUTE,
                skipped: 0
            }
        );
    }

    #[test]
    fn a_poll_in_progress_makes_the_next_skip_and_count() {
        let (mut schedule, start) = start();
        let plan = schedule.after(Ending::Done, start + 2 * MINUTE + Duration::from_secs(30));
        assert_eq!(
            plan,
            Plan {
                at: start + 3 * MINUTE,
                skipped: 2
            }
        );
    }

    #[test]
    fn failures_wait_longer_each_time_and_success_ends_that() {
        let (mut schedule, mut now) = start();
        let failed = Ending::Failed { retry_after: None };
        let mut waits = Vec::new();
        for _ in 0..8 {
            let plan = schedule.after(failed, now);
            waits.push((plan.at - now).as_secs());
            now = plan.at;
        }
        for (wait, least) in waits.iter().zip([60, 120, 240, 480, 900, 900, 900, 900]) {
            assert!((least..=least + least / 5).contains(wait), "{waits:?}");
        }
        let plan = schedule.after(Ending::Done, now);
        assert_eq!(plan.at - now, MINUTE);
        assert_eq!(
            (schedule.after(failed, plan.at).at - plan.at).as_secs() / 60,
            1
        );
    }

    #[test]
    fn retry_after_is_honoured_within_an_hour() {
        let (mut schedule, now) = start();
        let failed = |seconds| Ending::Failed {
            retry_after: Some(Duration::from_secs(seconds)),
        };
        let plan = schedule.after(failed(200), now);
        assert_eq!((plan.at - now).as_secs(), 200);
        let later = schedule.after(failed(86_400), plan.at);
        assert_eq!((later.at - plan.at).as_secs(), 3_600);
    }

    #[test]
    fn a_refused_right_is_asked_for_rarely() {
        let (mut schedule, mut now) = start();
        let begin = now;
        let mut attempts = 0;
        while now - begin < Duration::from_hours(24) {
            now = schedule.after(Ending::Denied, now).at;
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
