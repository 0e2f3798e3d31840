//! How many requests for an account's calls may be sent: `calls.max_requests_per_minute`.
//!
//! A minute's requests may be sent at once, and then one at a time as the minute goes on.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
/// How long half of the budget is left unused after the server asked for fewer requests.
const SLOWED: Duration = Duration::from_mins(15);
/// The longest `Retry-After` that is followed.
const LONGEST_PAUSE: Duration = HOUR;

/// The budget of one account.
#[derive(Debug)]
pub(super) struct Budget {
    per_minute: u32,
    /// When the requests so far would all have been sent, one at a time.
    spent_until: Instant,
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
            spent_until: now,
            paused_until: None,
            slowed_until: None,
            minutes: VecDeque::new(),
            since: now,
        }
    }

    /// When the next request may be sent.
    pub(super) fn ready_at(&self, now: Instant) -> Instant {
        let spare = MINUTE.saturating_sub(self.step(now));
        let ready = self.spent_until.checked_sub(spare).unwrap_or(now).max(now);
        self.paused_until.map_or(ready, |until| ready.max(until))
    }

    /// Counts requests that were sent.
    pub(super) fn spend(&mut self, requests: u32, now: Instant) {
        self.spent_until = self.spent_until.max(now) + self.step(now) * requests;
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

    /// The time that one request takes of the budget.
    fn step(&self, now: Instant) -> Duration {
        let step = MINUTE / self.per_minute;
        if self.is_slowed(now) {
            return step * 2;
        }
        step
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
    fn a_minute_is_sent_at_once_and_the_rest_evenly() {
        let start = Instant::now();
        let mut budget = Budget::new(30, start);
        let sent = sent(&mut budget, start, 2 * MINUTE);
        assert_eq!(sent.iter().filter(|second| **second == 0).count(), 30);
        assert_eq!(sent.len(), 30 + 59);
        assert_eq!(budget.used(start + 2 * MINUTE), 89);
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
        assert_eq!(sent.first(), Some(&30));
        assert!((80..=120).contains(&sent.len()), "{}", sent.len());
        assert!(budget.ready_at(start + HOUR) == start + HOUR);
    }
}
