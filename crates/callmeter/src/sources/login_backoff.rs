//! One sign-in at a time after a refused login: all polls of an account share what is known of it.
//!
//! Servers lock a login that is refused again and again. An account has several polls, which would
//! otherwise each try on its own.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api_client::Secret;
use tokio::time::Instant;

/// First pause after a refused login.
const FIRST: Duration = Duration::from_mins(1);
/// Longest pause after refused logins.
const LONGEST: Duration = Duration::from_hours(1);
/// The time that an attempt has before another poll may try.
const ATTEMPT: Duration = Duration::from_mins(2);

/// Whether an account's login was refused, and when it may be tried again.
#[derive(Debug, Default)]
pub(super) struct LoginBackoff(Mutex<Option<Refusal>>);

#[derive(Debug)]
struct Refusal {
    /// The password that was refused; `None` if it could not be read.
    password: Option<Secret>,
    /// The error of the poll that was refused.
    reason: String,
    /// Consecutive refusals.
    count: u32,
    until: Instant,
    /// Until when the poll that tries now keeps the others from trying.
    attempt: Option<Instant>,
}

impl LoginBackoff {
    fn lock(&self) -> MutexGuard<'_, Option<Refusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a poll may sign in now with this password. After a refusal, one poll per pause may.
    pub(super) fn may_attempt(&self, password: Option<&Secret>, now: Instant) -> bool {
        let mut refusal = self.lock();
        let Some(last) = refusal.as_mut() else {
            return true;
        };
        if password.is_some() && password != last.password.as_ref() {
            *refusal = None;
            return true;
        }
        if now < last.until || last.attempt.is_some_and(|until| now < until) {
            return false;
        }
        last.attempt = Some(now + ATTEMPT);
        true
    }

    /// Reports that this password was refused.
    pub(super) fn refused(&self, password: Option<Secret>, reason: &str, now: Instant) {
        let mut refusal = self.lock();
        // Polls that signed in at the same time were refused once, not several times.
        if let Some(last) = refusal.as_ref()
            && last.password == password
            && now < last.until
        {
            return;
        }
        let count = refusal
            .as_ref()
            .map_or(0, |last| last.count)
            .saturating_add(1);
        *refusal = Some(Refusal {
            password,
            reason: reason.to_owned(),
            count,
            until: now + callmeter_backoff::wait(count, FIRST, LONGEST),
            attempt: None,
        });
    }

    /// Reports that the login was accepted.
    pub(super) fn accepted(&self) {
        *self.lock() = None;
    }

    /// Why the login was refused, and until when no poll may try it; `None` if it was not.
    pub(super) fn refusal(&self) -> Option<(String, Instant)> {
        self.lock()
            .as_ref()
            .map(|last| (last.reason.clone(), last.until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_poll_attempts_per_pause_and_pauses_grow() {
        let login = LoginBackoff::default();
        let password = Secret::from("wrong");
        let mut now = Instant::now();
        let begin = now;
        let mut attempts = 0;
        while now - begin < Duration::from_hours(24) {
            for _poll in 0..3 {
                if login.may_attempt(Some(&password), now) {
                    attempts += 1;
                    login.refused(Some(password.clone()), "refused", now);
                }
            }
            now += Duration::from_secs(5);
        }
        assert!(
            (20..=32).contains(&attempts),
            "{attempts} attempts in a day"
        );
    }

    #[test]
    fn polls_that_were_refused_together_count_once() {
        let login = LoginBackoff::default();
        let password = Secret::from("wrong");
        let now = Instant::now();
        for _poll in 0..3 {
            login.refused(Some(password.clone()), "refused", now);
        }
        let (_, until) = login.refusal().unwrap();
        assert!(until - now <= FIRST + FIRST / 5);
    }

    #[test]
    fn another_password_is_tried_at_once() {
        let login = LoginBackoff::default();
        let now = Instant::now();
        login.refused(Some(Secret::from("wrong")), "refused", now);
        assert!(!login.may_attempt(Some(&Secret::from("wrong")), now));
        assert!(
            !login.may_attempt(None, now),
            "an unreadable password is not a new one"
        );
        assert!(login.may_attempt(Some(&Secret::from("right")), now));
        assert!(login.refusal().is_none());
    }

    #[test]
    fn an_attempt_without_a_result_expires() {
        let login = LoginBackoff::default();
        let password = Secret::from("p");
        let now = Instant::now();
        login.refused(Some(password.clone()), "refused", now);
        let later = now + Duration::from_mins(2);
        assert!(login.may_attempt(Some(&password), later));
        assert!(!login.may_attempt(Some(&password), later));
        assert!(login.may_attempt(Some(&password), later + ATTEMPT));
        login.accepted();
        assert!(login.may_attempt(Some(&password), later));
    }
}
