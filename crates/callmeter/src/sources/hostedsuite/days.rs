//! The days whose calls a poll requests.
//!
//! Calls are requested by whole days of the account's time zone. The range of a day ends at the
//! first moment of the next one, so that nothing depends on whether the server includes the end of
//! a range, which is not documented. The journal recognizes calls that two ranges return.

use std::ops::Range;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// One day of an account's calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    /// The date in the account's time zone.
    pub date: Date,
    /// Its first moment.
    pub start: Timestamp,
    /// The first moment of the next day.
    pub end: Timestamp,
}

impl Day {
    /// The day of `zone` with this date; `None` at the ends of the calendar.
    pub fn of(date: Date, zone: &TimeZone) -> Option<Self> {
        let start = date.to_zoned(zone.clone()).ok()?;
        let next = date.tomorrow().ok()?.to_zoned(zone.clone()).ok()?;
        // `to_zoned` of a midnight that a clock change skips is the first moment after it.
        Some(Self {
            date,
            start: start.timestamp(),
            end: next.timestamp(),
        })
    }
}

/// The day of `watermark − lookback`; without a watermark, in the very first poll, that of
/// `now − history`.
pub(super) fn first_day(
    watermark: Option<Timestamp>,
    lookback: Duration,
    history: Duration,
    now: Timestamp,
    zone: &TimeZone,
) -> Date {
    // A watermark ahead of the clock means that the clock was set back: read that time again.
    let (anchor, reach) = match watermark {
        Some(watermark) => (watermark.min(now), lookback),
        None => (now, history),
    };
    let first = anchor.saturating_sub(reach).unwrap_or(Timestamp::MIN);
    first.to_zoned(zone.clone()).date()
}

/// The days from `first` to `last`, oldest first.
pub(super) fn days_between(first: Date, last: Date, zone: &TimeZone) -> Vec<Day> {
    first
        .series(1.day())
        .take_while(|date| *date <= last)
        .filter_map(|date| Day::of(date, zone))
        .collect()
}

/// The microseconds that these days cover.
pub(super) fn span(days: &[Day]) -> Range<i64> {
    match (days.first(), days.last()) {
        (Some(first), Some(last)) => first.start.as_microsecond()..last.end.as_microsecond(),
        _ => 0..0,
    }
}

/// A range of UTC microseconds with a day more on either side.
pub(super) fn with_margin(range: &Range<i64>) -> Range<i64> {
    const DAY: i64 = 86_400 * 1_000_000;
    range.start.saturating_sub(DAY)..range.end.saturating_add(DAY)
}

/// The microseconds of the week that has this day. Days before the look-back are read in such steps,
/// so that few calls have to be known exactly at a time.
pub(super) fn step(day: Day, zone: &TimeZone) -> Range<i64> {
    let monday = day.date.weekday().to_monday_zero_offset();
    let first = day.date.checked_sub(monday.days()).unwrap_or(day.date);
    let last = first.checked_add(6.days()).unwrap_or(day.date);
    let days = [first, last].map(|date| Day::of(date, zone).unwrap_or(day));
    span(&days)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn dates(days: &[Day]) -> Vec<String> {
        days.iter().map(|day| day.date.to_string()).collect()
    }

    const DAY: Duration = Duration::from_hours(24);

    fn days_to_read(
        watermark: Option<Timestamp>,
        lookback: Duration,
        history: Duration,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Vec<Day> {
        let first = first_day(watermark, lookback, history, now, zone);
        days_between(first, now.to_zoned(zone.clone()).date(), zone)
    }

    #[test]
    fn the_window_reaches_the_lookback_behind_the_watermark() {
        let days = days_to_read(
            Some(at("2026-03-10T05:00:00Z")),
            3 * DAY,
            30 * DAY,
            at("2026-03-10T05:01:00Z"),
            &zone("America/New_York"),
        );
        // 05:00Z on the 10th is 01:00 local; three days earlier is the 7th, 00:00 EST.
        assert_eq!(
            dates(&days),
            ["2026-03-07", "2026-03-08", "2026-03-09", "2026-03-10"]
        );
        // The day on which clocks go forward has 23 hours.
        assert_eq!(days[1].end.duration_since(days[1].start).as_hours(), 23);
    }

    #[test]
    fn a_first_poll_reads_the_history() {
        let now = at("2026-08-06T12:00:00Z");
        let days = days_to_read(None, DAY, 2 * DAY, now, &TimeZone::UTC);
        assert_eq!(dates(&days), ["2026-08-04", "2026-08-05", "2026-08-06"]);
    }

    #[test]
    fn a_step_is_a_week() {
        let zone = zone("America/New_York");
        let day = |date: &str| Day::of(date.parse().unwrap(), &zone).unwrap();
        let week = step(day("2026-03-08"), &zone);
        assert_eq!(week, step(day("2026-03-02"), &zone));
        // Clocks go forward on its last day.
        assert_eq!(week.end - week.start, (7 * 24 - 1) * 3_600 * 1_000_000);
    }

    #[test]
    fn a_long_absence_is_caught_up_with() {
        let days = days_to_read(
            Some(at("2026-07-01T00:00:00Z")),
            DAY,
            DAY,
            at("2026-07-31T12:00:00Z"),
            &TimeZone::UTC,
        );
        assert_eq!(days.len(), 32);
    }

    #[test]
    fn a_clock_set_back_reads_from_the_clock() {
        let days = days_to_read(
            Some(at("2027-01-01T00:00:00Z")),
            DAY,
            DAY,
            at("2026-08-06T12:00:00Z"),
            &TimeZone::UTC,
        );
        assert_eq!(dates(&days), ["2026-08-05", "2026-08-06"]);
    }

    proptest! {
        /// In every zone and at every time, days cover the window without gap or overlap.
        #[test]
        fn days_cover_the_window_without_gaps(
            now in 946_684_800_i64..4_102_444_800,
            behind in 0_i64..10 * 86_400,
            lookback in 60_u64..20 * 86_400,
            zone_index in 0_usize..600,
        ) {
            let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
            let zone = zone(&names[zone_index % names.len()]);
            let now = Timestamp::from_second(now).unwrap();
            let watermark = Timestamp::from_second(now.as_second() - behind).unwrap();
            let lookback = Duration::from_secs(lookback);
            let days = days_to_read(Some(watermark), lookback, lookback, now, &zone);
            let first = days.first().unwrap();
            let last = days.last().unwrap();
            prop_assert!(first.start <= watermark - lookback);
            prop_assert!(last.end > now);
            for pair in days.windows(2) {
                prop_assert_eq!(pair[0].end, pair[1].start);
            }
        }
    }
}
