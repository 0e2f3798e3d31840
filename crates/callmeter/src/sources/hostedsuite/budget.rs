//! How many requests for an account's calls may be sent: `calls.max_requests_per_minute`.
//!
//! A minute's requests may be sent at once. Then each waits until a minute has passed since the one
//! that it follows by so many.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
/// How long half of the budget is left unused after the server asked for fewer requests.
const SLOWED: Duration = Duration::from_mins(15);
/// The longest `Retry-After` that is followed.
const LONGEST_PAUSE: Duration = HOUR;

/// The budgets of accounts that a reload restarts: a restart gives no further minute.
///
/// Where instances share the accounts, another one may have polled an account until now. So each
/// start is one with a spent budget.
#[derive(Debug, Clone, Default)]
pub struct Budgets(Arc<Mutex<HashMap<Arc<str>, Budget>>>);

impl Budgets {
    /// The budget of an account, with this limit from now on.
    pub(super) fn take(&self, account: &str, per_minute: u32, is_shared: bool) -> Budget {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = budgets.remove(account);
        let now = Instant::now();
        let mut budget = kept.unwrap_or_else(|| Budget::new(per_minute, now));
        budget.per_minute = per_minute.max(1);
        if is_shared {
            budget.take_as_spent(now);
        }
        budget
    }

    /// Keeps a budget for the account's next start.
    pub(super) fn keep(&self, account: &Arc<str>, budget: Budget) {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.insert(Arc::clone(account), budget);
    }
}

/// The budget of one account.
#[derive(Debug)]
pub(super) struct Budget {
    per_minute: u32,
    /// When the requests of the last minute were sent.
    sent: VecDeque<Instant>,
    paused_until: Option<Instant>,
    slowed_until: Option<Instant>,
    /// Requests of the last hour, in minutes since the first one.
    minutes: VecDeque<(u64, u64)>,
    since: Instant,
}

impl Budget {
    pub(super) fn new(per_minute: u32, now: Instant) -> Self {
        Self {
            per_minute: per_minute.max(1),
            sent: VecDeque::new(),
            paused_until: None,
            slowed_until: None,
            minutes: VecDeque::new(),
            since: now,
        }
    }

    /// Takes a minute's requests as sent, one after the other: what others have sent is not known.
    /// So the next requests are sent at the configured rate, not at once.
    fn take_as_spent(&mut self, now: Instant) {
        let requests = self.per_minute;
        let sent = (0..requests).filter_map(|left| now.checked_sub(MINUTE * left / requests));
        self.sent = sent.collect::<Vec<_>>().into_iter().rev().collect();
    }

    /// When the next request may be sent.
    pub(super) fn ready_at(&self, now: Instant) -> Instant {
        let limit = self.limit(now);
        let before = self.sent.len().checked_sub(limit);
        let before = before.and_then(|index| self.sent.get(index));
        let ready = before.map_or(now, |before| (*before + MINUTE).max(now));
        self.paused_until.map_or(ready, |until| ready.max(until))
    }

    /// Counts requests that were sent.
    pub(super) fn spend(&mut self, requests: u32, now: Instant) {
        let is_over = |sent: &Instant| now.saturating_duration_since(*sent) >= MINUTE;
        while self.sent.front().is_some_and(is_over) {
            self.sent.pop_front();
        }
        self.sent.extend((0..requests).map(|_| now));
        let minute = now.saturating_duration_since(self.since).as_secs() / 60;
        match self.minutes.back_mut() {
            Some((last, count)) if *last == minute => *count += u64::from(requests),
            _ => self.minutes.push_back((minute, requests.into())),
        }
        while self
            .minutes
            .front()
            .is_some_and(|(first, _)| first + 60 <= minute)
        {
            self.minutes.pop_front();
        }
    }

    /// The server asked for fewer requests, and perhaps for a pause.
    pub(super) fn throttled(&mut self, retry_after: Option<Duration>, now: Instant) {
        let pause = retry_after.unwrap_or_default().min(LONGEST_PAUSE);
        let later = |before: Option<Instant>, until| Some(before.map_or(until, |at| at.max(until)));
        self.paused_until = later(self.paused_until, now + pause);
        self.slowed_until = later(self.slowed_until, now + pause + SLOWED);
    }

    /// Requests that may be sent in an hour, as things are now.
    pub(super) fn per_hour(&self, now: Instant) -> u64 {
        let per_hour = u64::from(self.per_minute) * 60;
        if self.is_slowed(now) {
            return per_hour / 2;
        }
        per_hour
    }

    /// Requests that were sent in the last hour.
    pub(super) fn used(&self, now: Instant) -> u64 {
        let minute = now.saturating_duration_since(self.since).as_secs() / 60;
        self.minutes
            .iter()
            .filter(|(sent, _)| sent + 60 > minute)
            .map(|(_, count)| count)
            .sum()
    }

    /// Requests that may be sent in a minute, as things are now.
    fn limit(&self, now: Instant) -> usize {
        let limit = self.per_minute as usize;
        if self.is_slowed(now) {
            return (limit / 2).max(1);
        }
        limit
    }

    fn is_slowed(&self, now: Instant) -> bool {
        self.slowed_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends as many requests as the budget allows for so long; when each was sent, in seconds.
    fn sent(budget: &mut Budget, start: Instant, length: Duration) -> Vec<u64> {
        let mut now = start;
        let mut sent = Vec::new();
        loop {
            now = budget.ready_at(now);
            if now >= start + length {
                return sent;
            }
            budget.spend(1, now);
            sent.push((now - start).as_secs());
        }
    }

    #[test]
    fn no_minute_has_more_than_its_requests() {
        let start = Instant::now();
        let mut budget = Budget::new(30, start);
        let sent = sent(&mut budget, start, 2 * MINUTE);
        assert_eq!(sent.iter().filter(|second| **second == 0).count(), 30);
        for second in 0..60 {
            let of_minute = |at: &&u64| (second..second + 60).contains(*at);
            assert!(sent.iter().filter(of_minute).count() <= 30);
        }
        assert_eq!(sent.len(), 60);
        assert_eq!(budget.used(start + 2 * MINUTE), 60);
        assert_eq!(budget.used(start + HOUR), 30);
        assert_eq!(budget.used(start + 3 * HOUR), 0);
    }

    #[test]
    fn a_throttled_budget_pauses_and_then_halves() {
        let start = Instant::now();
        let mut budget = Budget::new(60, start);
        budget.spend(60, start);
        budget.throttled(Some(Duration::from_secs(30)), start);
        let sent = sent(&mut budget, start, 3 * MINUTE);
        assert_eq!(sent.first(), Some(&60), "the minute's requests were sent");
        assert!((60..=90).contains(&sent.len()), "{}", sent.len());
        assert!(budget.ready_at(start + HOUR) == start + HOUR);
    }

    #[test]
    fn an_account_that_another_instance_may_have_polled_starts_with_a_spent_budget() {
        let (budgets, account) = (Budgets::default(), Arc::from("acme"));
        for _ in 0..2 {
            let mut budget = budgets.take("acme", 30, true);
            assert_eq!(budget.used(Instant::now()), 0, "they are another one's");
            let start = *budget.sent.back().unwrap();
            let sent = sent(&mut budget, start, MINUTE);
            let expected: Vec<u64> = (1..30).map(|request| 2 * request).collect();
            assert_eq!(sent, expected);
            // What it has sent itself counts, but is no longer all.
            budgets.keep(&account, Budget::new(30, start));
        }
    }

    #[test]
    fn a_reload_gives_no_further_minute() {
        let (budgets, account) = (Budgets::default(), Arc::from("acme"));
        let mut budget = budgets.take("acme", 30, false);
        budget.spend(30, Instant::now());
        budgets.keep(&account, budget);
        let now = Instant::now();
        assert!(budgets.take("acme", 30, false).ready_at(now) > now);
        assert_eq!(budgets.take("acme", 30, false).ready_at(now), now);
    }
}
