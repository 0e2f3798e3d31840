//! How far each day of an account's calls has been read, and which day to read next.
//!
//! There is an entry for each day of which something is expected: the days of the look-back, and
//! older days that are not proven complete, have calls that have not settled, or were asked for by
//! an operator. A day without an entry, before or between others, is done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use callmeter_journal::{CoverageChange, DayCoverage, WalkPosition};
use hostedsuite_client::Position;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::clocks::{Clocks, TOLERANCE};
use super::days::{Day, days_between, first_day};
use super::intervals::{DayAge, Rules};

/// Readings of a day that may fail before its pauses grow.
const QUICK_RETRIES: u32 = 3;
/// The longest pause after readings of a day that failed.
const LONGEST_RETRY: Duration = Duration::from_mins(15);
/// How long a day that an operator asked for is remembered as read.
const REMEMBERED: Duration = Duration::from_hours(7 * 24);

/// How far each day has been read.
#[derive(Debug)]
pub(super) struct Coverage {
    zone: TimeZone,
    days: BTreeMap<Date, DayCoverage>,
    changed: BTreeSet<Date>,
    removed: BTreeSet<Date>,
    /// Whether days were seen that the server filters by another zone than the one it writes.
    is_shifted: bool,
}

/// What a reading of a day has shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    /// When it started, by both clocks.
    pub(super) started: Timestamp,
    pub(super) stated: Option<u64>,
    pub(super) received: u64,
    /// Calls that had not settled, and when the first of them does.
    pub(super) waiting: u64,
    pub(super) waits_until: Option<i64>,
}

/// A day that may miss calls, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Incomplete {
    pub(super) day: Date,
    /// Whether an operator asked for it.
    pub(super) asked: bool,
    pub(super) reason: String,
}

impl Coverage {
    pub(super) fn new(zone: TimeZone, stored: Vec<DayCoverage>) -> Self {
        let days = stored
            .into_iter()
            .filter_map(|day| Some((date_of(day.day)?, day)))
            .collect();
        Self {
            zone,
            days,
            changed: BTreeSet::new(),
            removed: BTreeSet::new(),
            is_shifted: false,
        }
    }

    /// Adds the days up to today, and removes those that are done or have not come.
    ///
    /// `watermark` is the end of what was read before there was an entry for each day.
    pub(super) fn update(&mut self, clocks: Clocks, rules: &Rules, watermark: Option<Timestamp>) {
        let (earliest, latest) = (clocks.earliest(), clocks.latest());
        self.distrust_after(earliest.saturating_add(TOLERANCE).unwrap_or(earliest));
        let today = latest.to_zoned(self.zone.clone()).date();
        let beyond = self.days.range(today.tomorrow().unwrap_or(today)..);
        let beyond: Vec<Date> = beyond.map(|(date, _)| *date).collect();
        for date in beyond {
            self.remove(date);
        }
        let first_of = |watermark| {
            let (lookback, history) = (rules.lookback, rules.history);
            let first = first_day(watermark, lookback, history, earliest, &self.zone);
            // A part of the first day's calls may come with the range of the day before it.
            if self.is_shifted {
                return first.yesterday().unwrap_or(first);
            }
            first
        };
        let kept_from = first_of(Some(earliest));
        let last = self.regular().map(|(date, _)| date).next_back();
        let first = match last {
            Some(last) => last.tomorrow().unwrap_or(last).min(kept_from),
            None => first_of(watermark.filter(|watermark| *watermark <= latest)),
        };
        for day in days_between(first, today, &self.zone) {
            if !self.days.contains_key(&day.date) {
                self.put(day.date, DayCoverage::default());
            }
        }
        let done: Vec<Date> = self
            .days
            .range(..kept_from)
            .filter(|(date, day)| self.is_done(**date, day, earliest))
            .map(|(date, _)| *date)
            .collect();
        for date in done {
            self.remove(date);
        }
    }

    /// Forgets proofs that a clock gave which was ahead.
    fn distrust_after(&mut self, latest: Timestamp) {
        let ahead: Vec<Date> = self
            .days
            .iter()
            .filter(|(_, day)| day.proven_at > Some(latest.as_microsecond()))
            .map(|(date, _)| *date)
            .collect();
        for date in ahead {
            self.change(date, |day| {
                day.proven_at = None;
                day.due_at = 0;
            });
        }
    }

    /// Whether nothing more is expected of a day before the look-back.
    fn is_done(&self, date: Date, day: &DayCoverage, now: Timestamp) -> bool {
        let Some(end) = self.day(date).map(|day| day.end.as_microsecond()) else {
            return true;
        };
        let proof = self.proof(date);
        let is_remembered = day.asked
            && proof.is_some_and(|at| {
                let until = at.saturating_add(micros(REMEMBERED));
                now.as_microsecond() < until
            });
        proof >= Some(end) && day.waiting == 0 && day.failures == 0 && !is_remembered
    }

    /// The first and the last day.
    pub(super) fn span(&self) -> Option<(Day, Day)> {
        let first = self.day(*self.days.first_key_value()?.0)?;
        let last = self.day(*self.days.last_key_value()?.0)?;
        Some((first, last))
    }

    pub(super) fn day(&self, date: Date) -> Option<Day> {
        Day::of(date, &self.zone)
    }

    pub(super) fn entry(&self, date: Date) -> Option<&DayCoverage> {
        self.days.get(&date)
    }

    /// The days with an entry.
    pub(super) fn dates(&self) -> impl Iterator<Item = Date> {
        self.days.keys().copied()
    }

    /// Where to continue the reading of a day.
    pub(super) fn position(&self, date: Date) -> Option<Position> {
        let position = self.days.get(&date)?.position?;
        Some(Position {
            page: position.page,
            rows: position.rows,
            count: position.count,
        })
    }

    /// The day to read next of those that were due when a poll `started`: today, then the days that
    /// have been due for the longest time, then those that an operator asked for. Not those that
    /// `is_read` says were read in this poll: by a clock that jumps they may be due again at once.
    pub(super) fn next(
        &self,
        started: Timestamp,
        clocks: Clocks,
        rules: &Rules,
        is_read: impl Fn(Date) -> bool,
    ) -> Option<Date> {
        let today = self.days.last_key_value().map(|(date, _)| *date);
        let due = self.days.iter().filter(|(date, day)| {
            let interval = rules.interval(DayAge::of(**date, clocks, &self.zone));
            let is_remembered = day.asked && self.is_read(**date);
            let is_due = rules.all_each_poll || is_due(day, started, interval.max(rules.every));
            !is_read(**date) && is_due && !is_remembered
        });
        due.min_by_key(|(date, day)| {
            // A reading of today that was interrupted comes after the other days.
            let is_today = Some(**date) == today && day.position.is_none();
            let is_asked = day.asked && day.proven_at.is_none();
            (!is_today, is_asked, day.due_at, **date)
        })
        .map(|(date, _)| *date)
    }

    /// Makes a day due now.
    pub(super) fn make_due(&mut self, date: Date) {
        self.change(date, |day| day.due_at = 0);
    }

    /// Notes that an operator asked for a day. True if it has to be read.
    pub(super) fn ask(&mut self, date: Date, again: bool) -> bool {
        if self.is_read(date) && !again {
            return false;
        }
        let asked = match self.days.get(&date) {
            Some(day) => DayCoverage {
                proven_at: None,
                due_at: 0,
                ..day.clone()
            },
            None => DayCoverage {
                asked: true,
                ..DayCoverage::default()
            },
        };
        self.put(date, asked);
        true
    }

    /// Whether a day is proven complete as a whole.
    pub(super) fn is_read(&self, date: Date) -> bool {
        let end = self.day(date).map(|day| day.end.as_microsecond());
        let is_settled = |day: &DayCoverage| day.waiting == 0 && day.failures == 0;
        self.days.get(&date).is_some_and(is_settled) && self.proof(date) >= end
    }

    /// Notes that a reading proved a day complete.
    pub(super) fn proven(&mut self, date: Date, reading: &Reading, clocks: Clocks, rules: &Rules) {
        let interval = rules.interval(DayAge::of(date, clocks, &self.zone));
        let is_followed = rules.has_tail && DayAge::of(date, clocks, &self.zone) != DayAge::Older;
        let now = clocks.local.as_microsecond();
        let end = self.day(date).map(|day| day.end.as_microsecond());
        self.change(date, |day| {
            day.proven_at = day.proven_at.max(Some(reading.started.as_microsecond()));
            day.stated = reading.stated;
            day.received = reading.received;
            day.waiting = reading.waiting;
            day.waits_until = reading.waits_until;
            day.failures = 0;
            day.failure = None;
            day.position = None;
            // A reading ends after its poll has begun: without this, the poll that is due after the
            // interval would come a moment too early, and the next one read the day.
            let until = interval.saturating_sub(rules.every / 2);
            day.due_at = now.saturating_add(micros(until).max(1));
            if let Some(end) = end.filter(|end| *end > now) {
                // Proves the whole day when it is over.
                day.due_at = day.due_at.min(end);
            }
            if let Some(until) = reading.waits_until.filter(|_| !is_followed) {
                let soon = now.saturating_add(micros(rules.every));
                day.due_at = day.due_at.min(until.max(soon));
            }
        });
    }

    /// Notes that the reading of a day failed. If the failure is lasting, the day is read again no
    /// more often than others.
    pub(super) fn failed(
        &mut self,
        date: Date,
        failure: String,
        lasting: bool,
        clocks: Clocks,
        rules: &Rules,
    ) {
        let least = if lasting {
            rules.interval(DayAge::of(date, clocks, &self.zone))
        } else {
            Duration::ZERO
        };
        let now = clocks.local;
        self.change(date, |day| {
            day.failures = day.failures.saturating_add(1);
            day.failure = Some(failure);
            day.position = None;
            let pause = match day.failures.saturating_sub(QUICK_RETRIES) {
                0 => Duration::ZERO,
                more => callmeter_backoff::wait(more, rules.every, LONGEST_RETRY.max(rules.every)),
            };
            let pause = pause.max(least);
            day.due_at = now.as_microsecond().saturating_add(micros(pause).max(1));
        });
    }

    /// Notes that the reading of a day was interrupted. It continues with the next poll.
    pub(super) fn interrupted(
        &mut self,
        date: Date,
        position: Option<Position>,
        cap: Option<String>,
        now: Timestamp,
    ) {
        self.change(date, |day| {
            day.position = position.map(|position| WalkPosition {
                page: position.page,
                rows: position.rows,
                count: position.count,
            });
            if cap.is_some() {
                day.failure = cap;
            }
            day.due_at = now.as_microsecond().saturating_add(1);
        });
    }

    /// Notes that the server filters by another zone than the one that it writes.
    pub(super) fn set_shifted(&mut self) {
        self.is_shifted = true;
    }

    /// When the reading of a day started that proved it complete. If the server filters by another
    /// zone, a part of the day's calls comes with the ranges of its neighbours.
    fn proof(&self, date: Date) -> Option<i64> {
        let own = self.days.get(&date)?.proven_at?;
        if !self.is_shifted {
            return Some(own);
        }
        let of_neighbour = |date: Option<Date>| match date.and_then(|date| self.days.get(&date)) {
            Some(day) => day.proven_at,
            None => Some(i64::MAX),
        };
        let before = of_neighbour(date.yesterday().ok())?;
        let after = of_neighbour(date.tomorrow().ok())?;
        Some(own.min(before).min(after))
    }

    /// The end of the days that are proven complete without a gap, as UTC microseconds.
    pub(super) fn proven_until(&self) -> Option<i64> {
        let mut until = None;
        for (date, _) in self.regular() {
            let end = self.day(date)?.end.as_microsecond();
            let Some(proof) = self.proof(date) else {
                break;
            };
            until = Some(proof.min(end));
            if proof < end {
                break;
            }
        }
        until
    }

    /// The days that are read without being asked for.
    fn regular(&self) -> impl DoubleEndedIterator<Item = (Date, &DayCoverage)> {
        let days = self.days.iter().map(|(date, day)| (*date, day));
        days.filter(|(_, day)| !day.asked)
    }

    /// The days that may miss calls after a poll that `started` then, oldest first.
    pub(super) fn incomplete(
        &self,
        started: Timestamp,
        clocks: Clocks,
        rules: &Rules,
    ) -> Vec<Incomplete> {
        let started = started.as_microsecond();
        self.days
            .iter()
            .filter_map(|(date, day)| {
                let kind = DayAge::of(*date, clocks, &self.zone);
                let grace = micros(rules.interval(kind).max(rules.every * 2));
                let reason = match (&day.failure, day.proven_at) {
                    (Some(failure), _) => failure.clone(),
                    (None, None) if day.asked => "asked for, not read yet".to_owned(),
                    (None, None) => "not read to its end yet".to_owned(),
                    // It is read once, as long as its proof is remembered.
                    (None, Some(_)) if day.asked && self.is_read(*date) => return None,
                    (None, Some(_))
                        if day.due_at.saturating_add(grace) < started && day.due_at > 0 =>
                    {
                        "its next reading is overdue".to_owned()
                    }
                    (None, Some(_)) if waits_for_clock(day, clocks) => format!(
                        "{} of its calls wait because the server's clock is behind this machine's",
                        day.waiting
                    ),
                    (None, Some(_)) => return None,
                };
                Some(Incomplete {
                    day: *date,
                    asked: day.asked,
                    reason,
                })
            })
            .collect()
    }

    /// Calls that were read but have not settled.
    pub(super) fn waiting(&self) -> u64 {
        self.days.values().map(|day| day.waiting).sum()
    }

    /// Requests that the readings of all days need in an hour, with pages of so many rows.
    pub(super) fn requests_per_hour(&self, page_size: u32, clocks: Clocks, rules: &Rules) -> u64 {
        let polls = |interval: Duration| {
            let interval = interval.max(rules.every).as_secs().max(1);
            3_600_u64.div_ceil(interval)
        };
        let readings: u64 = self
            .days
            .iter()
            .map(|(date, day)| {
                let pages = day.received / u64::from(page_size.max(1)) + 1;
                pages * polls(rules.interval(DayAge::of(*date, clocks, &self.zone)))
            })
            .sum();
        readings
            + if rules.has_tail {
                polls(rules.every)
            } else {
                0
            }
    }

    /// What has changed since the last call.
    pub(super) fn take_change(&mut self) -> CoverageChange {
        let changed = std::mem::take(&mut self.changed);
        let removed = std::mem::take(&mut self.removed);
        CoverageChange {
            changed: changed
                .into_iter()
                .filter_map(|date| self.days.get(&date).cloned())
                .collect(),
            removed: removed.into_iter().map(number_of).collect(),
        }
    }

    fn put(&mut self, date: Date, mut day: DayCoverage) {
        day.day = number_of(date);
        self.days.insert(date, day);
        self.changed.insert(date);
        self.removed.remove(&date);
    }

    fn remove(&mut self, date: Date) {
        self.days.remove(&date);
        self.changed.remove(&date);
        self.removed.insert(date);
    }

    fn change(&mut self, date: Date, change: impl FnOnce(&mut DayCoverage)) {
        if let Some(day) = self.days.get_mut(&date) {
            change(day);
            self.changed.insert(date);
        }
    }
}

/// Calls wait for the server's clock if they settled so long ago by this machine's.
const LONG_SETTLED: Duration = Duration::from_hours(1);

/// Whether calls that have settled by this machine's clock wait for the server's.
fn waits_for_clock(day: &DayCoverage, clocks: Clocks) -> bool {
    let long_ago = clocks
        .local
        .as_microsecond()
        .saturating_sub(micros(LONG_SETTLED));
    day.waiting > 0 && !clocks.agree() && day.waits_until.is_some_and(|at| at < long_ago)
}

/// Whether a day was due when a poll started. A time far ahead comes from a clock that was ahead.
fn is_due(day: &DayCoverage, started: Timestamp, interval: Duration) -> bool {
    let started = started.as_microsecond();
    let farthest = interval.max(LONGEST_RETRY) * 2;
    day.due_at <= started || day.due_at > started.saturating_add(micros(farthest))
}

const EPOCH: Date = Date::constant(1970, 1, 1);

/// Days since 1970-01-01.
fn number_of(date: Date) -> i32 {
    date.since(EPOCH).map_or(0, |span| span.get_days())
}

/// The date of a number of days since 1970-01-01.
pub(super) fn date_of(number: i32) -> Option<Date> {
    EPOCH.checked_add(number.days()).ok()
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
