//! How often each day of an account's calls is read.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::clocks::Clocks;
use crate::config::Calls;

/// Yesterday and older days are read less often than today, by these factors.
const YESTERDAY: u32 = 6;
const OLDER: u32 = 36;

/// How often days are read, and which.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) every: Duration,
    pub(super) lookback: Duration,
    pub(super) history: Duration,
    pub(super) audit: Duration,
    /// Whether a tail finds new calls between two readings of today.
    pub(super) has_tail: bool,
    /// Whether each poll reads all days of the look-back.
    pub(super) all_each_poll: bool,
}

impl Rules {
    pub(super) fn new(config: &Calls, has_tail: bool) -> Self {
        Self {
            every: config.every,
            lookback: config.lookback,
            history: config.history,
            audit: config.audit,
            has_tail,
            all_each_poll: !config.tail,
        }
    }

    /// The time between two readings of a day.
    pub(super) fn interval(&self, age: DayAge) -> Duration {
        if self.all_each_poll {
            return Duration::ZERO;
        }
        match age {
            DayAge::Today if self.has_tail => self.audit,
            DayAge::Today => (self.audit / 3).max(self.every),
            DayAge::Yesterday => self.audit * YESTERDAY,
            DayAge::Older => self.audit * OLDER,
        }
    }
}

/// How old a day is, by either clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DayAge {
    Today,
    Yesterday,
    Older,
}

impl DayAge {
    pub(super) fn of(date: Date, clocks: Clocks, zone: &TimeZone) -> Self {
        let dates =
            [clocks.earliest(), clocks.latest()].map(|now| now.to_zoned(zone.clone()).date());
        if dates.contains(&date) {
            Self::Today
        } else if dates
            .iter()
            .any(|today| today.yesterday().ok() == Some(date))
        {
            Self::Yesterday
        } else {
            Self::Older
        }
    }
}
