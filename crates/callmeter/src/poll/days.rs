//! Which days of calls a poll asks for, and which period a balance is asked for.
//!
//! Calls are asked by whole days of the account's time zone. A whole day is a question whose answer
//! does not depend on how the server treats the ends of a range (nobody documents whether the end
//! belongs to it), and today's is asked to its end, so that a server whose clock runs ahead of ours
//! loses nothing.

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
    /// The day of `zone` that carries this date; nothing at the ends of the calendar.
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

/// The days that cover `[watermark − lookback, now]`, oldest first; without a watermark (the first
/// poll of all) those that cover `[now − history, now]`.
pub(super) fn days_to_read(
    watermark: Option<Timestamp>,
    lookback: Duration,
    history: Duration,
    now: Timestamp,
    zone: &TimeZone,
) -> Vec<Day> {
    // A watermark ahead of the clock means that the clock was set back: what lies between is read again.
    let (anchor, reach) = match watermark {
        Some(watermark) => (watermark.min(now), lookback),
        None => (now, history),
    };
    let first = anchor.saturating_sub(reach).unwrap_or(Timestamp::MIN);
    let first = first.to_zoned(zone.clone()).date();
    let last = now.to_zoned(zone.clone()).date();
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

/// The days in steps that a lookback fills: what a step has to know of the past is then a lookback
/// and the step itself, however many days there are. A regular poll is one step.
pub(super) fn steps(days: &[Day], lookback: Duration) -> impl Iterator<Item = &[Day]> {
    let lookback_days = lookback.as_secs().div_ceil(86_400);
    // The watermark's day and today come on top, and a change of clocks may cut one more day.
    let length = usize::try_from(lookback_days).map_or(usize::MAX, |days| days.saturating_add(3));
    days.chunks(length)
}

/// A billing period: from a day of the month to the day before the same of the next month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    /// First day.
    pub(super) first: Date,
    /// Last day, which belongs to the period.
    pub(super) last: Date,
    /// Its first moment.
    pub(super) start: Timestamp,
    /// The first moment after it.
    pub(super) end: Timestamp,
}

impl Period {
    /// The period in which `now` lies, where periods start on `start_day` (1 to 28) of each month.
    pub(super) fn current(now: Timestamp, start_day: i8, zone: &TimeZone) -> Option<Self> {
        let today = now.to_zoned(zone.clone()).date();
        let this_month = today.with().day(start_day).build().ok()?;
        let first = if today.day() >= start_day {
            this_month
        } else {
            this_month.checked_sub(1.month()).ok()?
        };
        let next = first.checked_add(1.month()).ok()?;
        Some(Self {
            first,
            last: next.yesterday().ok()?,
            start: first.to_zoned(zone.clone()).ok()?.timestamp(),
            end: next.to_zoned(zone.clone()).ok()?.timestamp(),
        })
    }
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

    #[test]
    fn the_window_reaches_the_lookback_behind_the_watermark() {
        let days = days_to_read(
            Some(at("2026-03-10T05:00:00Z")),
            3 * DAY,
            30 * DAY,
            at("2026-03-10T05:01:00Z"),
            &zone("America/New_York"),
        );
        // 05:00Z on the 10th is 01:00 local; three days before lies on the 7th, 00:00 EST.
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
    fn a_long_history_comes_in_steps() {
        let now = at("2026-08-31T12:00:00Z");
        let days = days_to_read(None, 2 * DAY, 30 * DAY, now, &TimeZone::UTC);
        let lengths: Vec<usize> = steps(&days, 2 * DAY).map(<[Day]>::len).collect();
        assert_eq!(lengths, [5, 5, 5, 5, 5, 5, 1]);
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

    #[test]
    fn a_period_runs_from_its_day_to_the_day_before() {
        let utc = TimeZone::UTC;
        let period = |now: &str, day| {
            let period = Period::current(at(now), day, &utc).unwrap();
            format!("{}..{}", period.first, period.last)
        };
        assert_eq!(period("2026-08-06T00:00:00Z", 1), "2026-08-01..2026-08-31");
        assert_eq!(period("2026-08-06T00:00:00Z", 15), "2026-07-15..2026-08-14");
        assert_eq!(period("2026-08-15T00:00:00Z", 15), "2026-08-15..2026-09-14");
        assert_eq!(period("2026-01-03T00:00:00Z", 28), "2025-12-28..2026-01-27");
        assert_eq!(period("2026-03-01T00:00:00Z", 28), "2026-02-28..2026-03-27");
    }

    proptest! {
        /// Whatever the zone and the moment: days touch without gap or overlap and cover the window.
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
            if behind <= 86_400 {
                prop_assert_eq!(steps(&days, lookback).count(), 1);
            }
            let first = days.first().unwrap();
            let last = days.last().unwrap();
            prop_assert!(first.start <= watermark - lookback);
            prop_assert!(last.end > now);
            for pair in days.windows(2) {
                prop_assert_eq!(pair[0].end, pair[1].start);
            }
        }

        #[test]
        fn now_lies_in_its_period(now in 946_684_800_i64..4_102_444_800, day in 1_i8..=28) {
            let now = Timestamp::from_second(now).unwrap();
            let period = Period::current(now, day, &zone("Europe/Zurich")).unwrap();
            prop_assert!(period.start <= now && now < period.end);
        }
    }
}
