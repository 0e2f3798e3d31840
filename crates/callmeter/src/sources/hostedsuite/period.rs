//! The billing period whose allowance balances a poll requests.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// A billing period: from a day of one month to the day before it in the next month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    /// First day.
    pub(super) first: Date,
    /// Last day, inclusive.
    pub(super) last: Date,
    /// Its start.
    pub(super) start: Timestamp,
    /// Its end, exclusive.
    pub(super) end: Timestamp,
}

impl Period {
    /// The period that contains `now`. Periods start on `start_day` (1 to 28) of each month.
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

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
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
        #[test]
        fn a_period_contains_its_time(now in 946_684_800_i64..4_102_444_800, day in 1_i8..=28) {
            let now = Timestamp::from_second(now).unwrap();
            let period = Period::current(now, day, &TimeZone::get("Europe/Zurich").unwrap()).unwrap();
            prop_assert!(period.start <= now && now < period.end);
        }
    }
}
