//! What polls remember of the days that they read: how each ended, and where to continue.
//!
//! A round reads every day of the window once. It usually takes one poll. If a poll reaches its
//! time limit or loses the connection, the next one continues the round, so that a window that is
//! too large for one poll is read in several.

use std::collections::BTreeMap;
use std::sync::Arc;

use hostedsuite_client::Position;
use jiff::Timestamp;
use jiff::civil::Date;

use super::days::Day;
use crate::sources::error::PollError;

/// How reading a day ended in this round.
#[derive(Debug, Clone)]
pub(super) enum DayEnd {
    /// All of its calls were read, and that is proven.
    Proven,
    /// It reached this cap. The next poll continues there.
    Capped(String),
    /// It could not be read to the end.
    Failed(Arc<PollError>),
}

/// A round over the days of the window.
#[derive(Debug, Default)]
pub(super) struct Round {
    first: Option<Date>,
    ends: BTreeMap<Date, DayEnd>,
    positions: BTreeMap<Date, Position>,
    /// The day that the last poll was reading when its time ended.
    cut: Option<Date>,
}

impl Round {
    /// The first day of the round: `first` if a new round starts now.
    pub(super) fn start(&mut self, first: Date, today: Date) -> Date {
        (*self.first.get_or_insert(first)).min(today)
    }

    /// Orders the days that this round still has to read: today first, then from the oldest. Today
    /// comes last if the last poll ran out of time while it read today.
    pub(super) fn order(&self, days: &[Day]) -> Vec<Day> {
        let mut left: Vec<Day> = days
            .iter()
            .filter(|day| !self.ends.contains_key(&day.date))
            .copied()
            .collect();
        let today = days.last().map(|day| day.date);
        let has_today = left.last().map(|day| day.date) == today;
        if has_today && self.cut != today {
            left.rotate_right(1);
        }
        left
    }

    /// Where to continue a day that was interrupted.
    pub(super) fn position(&self, day: Date) -> Option<Position> {
        self.positions.get(&day).copied()
    }

    /// Notes where a day was interrupted. Without a new position, the previous one is kept.
    pub(super) fn interrupted(&mut self, day: Date, position: Option<Position>) {
        if let Some(position) = position {
            self.positions.insert(day, position);
        }
    }

    /// Notes how a day ended.
    pub(super) fn ended(&mut self, day: Date, end: DayEnd) {
        if !matches!(end, DayEnd::Capped(_)) {
            self.positions.remove(&day);
        }
        self.ends.insert(day, end);
    }

    /// The end of the unbroken run of proven days that starts with the first day, for a poll that
    /// started at `started`. A capped day that the `watermark` has passed was proven before, and is
    /// no gap.
    pub(super) fn proven_until(
        &self,
        days: &[Day],
        started: Timestamp,
        watermark: Option<i64>,
    ) -> Option<i64> {
        let mut until = None;
        for day in days {
            match self.ends.get(&day.date) {
                Some(DayEnd::Proven) => until = Some(day.end.min(started).as_microsecond()),
                Some(DayEnd::Capped(_)) if watermark >= Some(day.end.as_microsecond()) => {}
                _ => break,
            }
        }
        until
    }

    /// The failure of the round so far: the first day that failed, and how many more did.
    pub(super) fn failure(&self) -> Option<PollError> {
        let mut failed = self.ends.iter().filter_map(|(day, end)| match end {
            DayEnd::Failed(error) => Some((*day, Arc::clone(error))),
            _ => None,
        });
        let (day, source) = failed.next()?;
        Some(PollError::Days {
            day,
            more: failed.count(),
            source,
        })
    }

    /// The first day that reached a cap, with the cap.
    pub(super) fn capped(&self) -> Option<String> {
        self.ends.iter().find_map(|(day, end)| match end {
            DayEnd::Capped(cap) => Some(format!("{day}: {cap}")),
            _ => None,
        })
    }

    /// Keeps the round for the next poll. Today is read again, because it has not ended.
    pub(super) fn pause(&mut self, today: Date, cut: Option<Date>) {
        self.ends.remove(&today);
        self.cut = cut;
    }

    /// Ends the round. Without a watermark, the next one starts at the same day: otherwise a day
    /// that failed would leave the window as time goes on.
    pub(super) fn finish(&mut self, has_watermark: bool) {
        if has_watermark {
            self.first = None;
        }
        self.ends.clear();
        self.cut = None;
    }

    /// Forgets positions in days before `first`.
    pub(super) fn forget_before(&mut self, first: Date) {
        self.positions = self.positions.split_off(&first);
    }
}

#[cfg(test)]
mod tests {
    use hostedsuite_client::Shortfall;
    use jiff::tz::TimeZone;

    use super::*;
    use callmeter_error_chain::chain;

    fn date(day: i8) -> Date {
        Date::constant(2026, 8, day)
    }

    fn days() -> Vec<Day> {
        (1..=4)
            .filter_map(|day| Day::of(date(day), &TimeZone::UTC))
            .collect()
    }

    /// Noon of 4 August.
    fn noon() -> Timestamp {
        "2026-08-04T12:00:00Z".parse().unwrap()
    }

    fn failed() -> DayEnd {
        let shortfall = Shortfall::Missing {
            had: 90,
            count: 100,
        };
        DayEnd::Failed(Arc::new(PollError::Incomplete(shortfall)))
    }

    fn order(round: &Round) -> Vec<i8> {
        let order = round.order(&days());
        order.iter().map(|day| day.date.day()).collect()
    }

    #[test]
    fn today_is_read_first_and_then_the_oldest_day() {
        let mut round = Round::default();
        assert_eq!(order(&round), [4, 1, 2, 3]);
        round.ended(date(4), DayEnd::Proven);
        round.ended(date(1), DayEnd::Proven);
        round.pause(date(4), Some(date(2)));
        assert_eq!(order(&round), [4, 2, 3]);
    }

    #[test]
    fn a_today_that_takes_all_time_does_not_keep_the_others_waiting() {
        let mut round = Round::default();
        round.pause(date(4), Some(date(4)));
        assert_eq!(order(&round), [1, 2, 3, 4]);
        round.pause(date(4), Some(date(3)));
        assert_eq!(order(&round), [4, 1, 2, 3]);
    }

    #[test]
    fn the_watermark_stops_at_the_first_day_that_is_not_proven() {
        let mut round = Round::default();
        let until = |round: &Round, watermark| round.proven_until(&days(), noon(), watermark);
        round.ended(date(4), DayEnd::Proven);
        assert_eq!(until(&round, None), None);
        round.ended(date(1), DayEnd::Proven);
        let end_of_first = days()[0].end.as_microsecond();
        assert_eq!(until(&round, None), Some(end_of_first));
        round.ended(date(3), DayEnd::Proven);
        round.ended(date(2), failed());
        assert_eq!(until(&round, None), Some(end_of_first));
        round.ended(date(2), DayEnd::Capped("a cap".to_owned()));
        assert_eq!(until(&round, None), Some(end_of_first));
        // The watermark has passed the second day: it was proven before.
        let end_of_second = days()[1].end.as_microsecond();
        assert_eq!(
            until(&round, Some(end_of_second)),
            Some(noon().as_microsecond())
        );
    }

    #[test]
    fn a_failure_names_the_first_day_and_how_many_more() {
        let mut round = Round::default();
        assert!(round.failure().is_none());
        round.ended(date(2), failed());
        let text = |round: &Round| chain(&round.failure().unwrap());
        assert_eq!(text(&round), "2026-08-02: had 90 of 100 rows");
        round.ended(date(3), failed());
        assert_eq!(
            text(&round),
            "2026-08-02 (and 1 more day): had 90 of 100 rows"
        );
        round.ended(date(1), failed());
        assert_eq!(
            text(&round),
            "2026-08-01 (and 2 more days): had 90 of 100 rows"
        );
    }

    #[test]
    fn a_round_keeps_its_first_day_until_there_is_a_watermark() {
        let mut round = Round::default();
        assert_eq!(round.start(date(1), date(4)), date(1));
        round.finish(false);
        assert_eq!(round.start(date(2), date(5)), date(1));
        round.finish(true);
        assert_eq!(round.start(date(2), date(5)), date(2));
        // The clock was set back.
        assert_eq!(round.start(date(2), date(1)), date(1));
    }
}
