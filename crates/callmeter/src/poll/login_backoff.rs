//! One knock at a time on a door that was shut: all polls of an account share what is known of its login.
//!
//! Servers lock a login that is refused again and again. An account has several polls, so without
//! this each of them would knock by itself.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api_client::Secret;
use tokio::time::Instant;

use super::schedule::{doubled, with_jitter};

/// First pause after a refused login.
const FIRST: Duration = Duration::from_mins(1);
/// Longest pause after refused logins.
const LONGEST: Duration = Duration::from_hours(1);
/// Who knocks has this long to say how it went; then another may.
const KNOCK: Duration = Duration::from_mins(2);

/// Whether an account's login was refused, and when it may be tried again.
#[derive(Debug, Default)]
pub(super) struct LoginBackoff(Mutex<Option<Shut>>);

#[derive(Debug)]
struct Shut {
    /// The password that was refused; nothing where it could not be read.
    password: Option<Secret>,
    /// Why, in the words of the poll that was refused.
    reason: String,
    refusals: u32,
    until: Instant,
    /// Until when a poll that knocks keeps others from it.
    knocking: Option<Instant>,
}

impl LoginBackoff {
    fn shut(&self) -> MutexGuard<'_, Option<Shut>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a poll may sign in now with this password. While the gate is shut, one poll per pause may.
    pub(super) fn may_attempt(&self, password: Option<&Secret>, now: Instant) -> bool {
        let mut shut = self.shut();
        let Some(state) = shut.as_mut() else {
            return true;
        };
        if password.is_some() && password != state.password.as_ref() {
            *shut = None;
            return true;
        }
        if now < state.until || state.knocking.is_some_and(|until| now < until) {
            return false;
        }
        state.knocking = Some(now + KNOCK);
        true
    }

    /// Notes that this password was refused.
    pub(super) fn refused(&self, password: Option<Secret>, reason: &str, now: Instant) {
        let mut shut = self.shut();
        // Polls that knocked at the same time were refused once, not several times.
        if let Some(state) = shut.as_ref()
            && state.password == password
            && now < state.until
        {
            return;
        }
        let refusals = shut.as_ref().map_or(0, |state| state.refusals);
        *shut = Some(Shut {
            password,
            reason: reason.to_owned(),
            refusals: refusals.saturating_add(1),
            until: now + with_jitter(doubled(FIRST, refusals).min(LONGEST)),
            knocking: None,
        });
    }

    /// Notes that the login is good.
    pub(super) fn accepted(&self) {
        *self.shut() = None;
    }

    /// Why the gate is shut, and until when; nothing while it is open.
    pub(super) fn state(&self) -> Option<(String, Instant)> {
        let shut = self.shut();
        shut.as_ref()
            .map(|state| (state.reason.clone(), state.until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_poll_knocks_per_pause_and_pauses_grow() {
        let gate = LoginBackoff::default();
        let password = Secret::from("wrong");
        let mut now = Instant::now();
        let begin = now;
        let mut knocks = 0;
        while now - begin < Duration::from_hours(24) {
            for _poll in 0..3 {
                if gate.may_attempt(Some(&password), now) {
                    knocks += 1;
                    gate.refused(Some(password.clone()), "refused", now);
                }
            }
            now += Duration::from_secs(5);
        }
        assert!((20..=32).contains(&knocks), "{knocks} knocks in a day");
    }

    #[test]
    fn polls_that_were_refused_together_count_once() {
        let gate = LoginBackoff::default();
        let password = Secret::from("wrong");
        let now = Instant::now();
        for _poll in 0..3 {
            gate.refused(Some(password.clone()), "refused", now);
        }
        let (_, until) = gate.state().unwrap();
        assert!(until - now <= FIRST + FIRST / 5);
    }

    #[test]
    fn another_password_opens_the_gate_at_once() {
        let gate = LoginBackoff::default();
        let now = Instant::now();
        gate.refused(Some(Secret::from("wrong")), "refused", now);
        assert!(!gate.may_attempt(Some(&Secret::from("wrong")), now));
        assert!(
            !gate.may_attempt(None, now),
            "an unreadable password is no new one"
        );
        assert!(gate.may_attempt(Some(&Secret::from("right")), now));
        assert!(gate.state().is_none());
    }

    #[test]
    fn who_knocks_and_says_nothing_does_not_keep_the_gate_shut() {
        let gate = LoginBackoff::default();
        let password = Secret::from("p");
        let now = Instant::now();
        gate.refused(Some(password.clone()), "refused", now);
        let later = now + Duration::from_mins(2);
        assert!(gate.may_attempt(Some(&password), later));
        assert!(!gate.may_attempt(Some(&password), later));
        assert!(gate.may_attempt(Some(&password), later + KNOCK));
        gate.accepted();
        assert!(gate.may_attempt(Some(&password), later));
    }
}
