//! The poll of an account's calls: which days it reads, in which order, and what it reports.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use api_client::{Cap, ErrorKind, Reason};
use callmeter_journal::{PageCounts, Purpose};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::warn;

use super::days::{Day, days_between, first_day, span, steps};
use super::reader::{CallsReader, PollRun, Request, Walked};
use super::round::{DayEnd, Round};
use crate::config::Calls;
use crate::sources::error::PollError;
use crate::sources::poll::{Poll, Polled};
use crate::status::Task;

/// The poll of an account's calls.
pub(in crate::sources) struct CallsTask {
    reader: CallsReader,
    round: Round,
}

/// One poll.
struct CallsPoll<'t> {
    reader: &'t CallsReader,
    round: &'t mut Round,
    /// The days of the window.
    days: Vec<Day>,
    started: Timestamp,
    deadline: Instant,
    summary: PollSummary,
}

/// Why a poll stopped before it had read all days.
struct OutOfTime {
    day: Day,
}

impl CallsTask {
    pub(in crate::sources) fn new(reader: CallsReader) -> Self {
        Self {
            reader,
            round: Round::default(),
        }
    }
}

impl Poll for CallsTask {
    fn task(&self) -> Task {
        Task::Calls
    }

    async fn run(&mut self) -> Result<Polled, PollError> {
        let started = Timestamp::now();
        let deadline = Instant::now() + self.reader.config.time_limit;
        let state = self.reader.state().await?;
        let watermark = state
            .watermark
            .and_then(|micros| Timestamp::from_microsecond(micros).ok());
        let Calls {
            lookback, history, ..
        } = self.reader.config;
        let zone = &self.reader.zone;
        let first = first_day(watermark, lookback, history, started, zone);
        let today = started.to_zoned(zone.clone()).date();
        let first = self.round.start(first, today);
        self.round.forget_before(first);
        let mut poll = CallsPoll {
            reader: &self.reader,
            days: days_between(first, today, zone),
            round: &mut self.round,
            started,
            deadline,
            summary: PollSummary::default(),
        };
        let read = poll.read().await;
        let CallsPoll { summary, days, .. } = poll;
        if summary.unfiltered_pages > 0 {
            warn!(
                account = &*self.reader.context.account,
                pages = summary.unfiltered_pages,
                "most calls of a page are not of the requested day: the server seems to ignore the dates of requests"
            );
        }
        let out_of_time = match read {
            Ok(out_of_time) => out_of_time,
            Err(error) => {
                self.round.pause(today, None);
                return Err(error);
            }
        };
        let failure = self.round.failure();
        let mut truncated = self.round.capped();
        if let Some(OutOfTime { day }) = out_of_time {
            let limit = format!("{}: calls.time_limit was reached", day.date);
            truncated.get_or_insert(limit);
            self.round.pause(today, Some(day.date));
        } else {
            self.round.finish(summary.has_watermark);
        }
        match failure {
            Some(failure) => Err(failure),
            None => Ok(Polled {
                found: summary.describe(days.len()),
                truncated,
            }),
        }
    }

    fn remove_gauges(&mut self) {
        // Calls have counters only, which stay.
    }
}

impl CallsPoll<'_> {
    /// Reads all days that the round has left.
    ///
    /// # Errors
    /// If a failure concerns the whole account. The failure of a day stays in the round.
    async fn read(&mut self) -> Result<Option<OutOfTime>, PollError> {
        for (range, days) in self.sessions() {
            let mut run = self.reader.begin(Purpose::Regular, range).await?;
            let result = self.read_days(&mut run, &days).await;
            // Also after a failure: the pages before are journaled and counted.
            let context = &self.reader.context;
            let accounts = context.app.status.accounts();
            accounts.calls_read(&context.account, run.state.watermark, run.counts);
            self.summary.add(&run);
            if let Some(out_of_time) = result? {
                return Ok(Some(out_of_time));
            }
        }
        Ok(None)
    }

    /// The days to read, in order, with the range of calls to know while they are read. A long
    /// history is read in steps. Only calls within the lookback may repeat or be edited; older ones
    /// are not kept in memory.
    fn sessions(&self) -> Vec<(Range<i64>, Vec<Day>)> {
        let start = span(&self.days).start;
        let lookback = self.reader.config.lookback;
        let lookback_micros = i64::try_from(lookback.as_micros()).unwrap_or(i64::MAX);
        let steps: Vec<&[Day]> = steps(&self.days, lookback).collect();
        let range_of = |day: &Day| {
            let step = steps.iter().find(|step| step.contains(day))?;
            let step = span(step);
            let known_from = step.start.saturating_sub(lookback_micros).max(start);
            Some(known_from..step.end)
        };
        let mut sessions: Vec<(Range<i64>, Vec<Day>)> = Vec::new();
        for day in self.round.order(&self.days) {
            let Some(range) = range_of(&day) else {
                continue;
            };
            match sessions.last_mut() {
                Some((last, days)) if *last == range => days.push(day),
                _ => sessions.push((range, vec![day])),
            }
        }
        sessions
    }

    async fn read_days(
        &mut self,
        run: &mut PollRun,
        days: &[Day],
    ) -> Result<Option<OutOfTime>, PollError> {
        for day in days {
            let end = self.read_day(run, *day).await?;
            let Some(end) = end else {
                return Ok(Some(OutOfTime { day: *day }));
            };
            self.summary.has_read |= matches!(end, DayEnd::Proven);
            self.round.ended(day.date, end);
            let watermark = run.state.watermark;
            let until = self.round.proven_until(&self.days, self.started, watermark);
            self.reader.store_state(run, until).await?;
        }
        Ok(None)
    }

    /// Reads a day; `None` if the poll's time ended first.
    async fn read_day(&mut self, run: &mut PollRun, day: Day) -> Result<Option<DayEnd>, PollError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let is_today = self.days.last() == Some(&day);
        let request = if is_today {
            Request::today(day)
        } else {
            Request::day(day)
        };
        let position = self.round.position(day.date);
        match self.reader.read(run, request, position, left).await {
            Ok(Walked::Complete) => Ok(Some(DayEnd::Proven)),
            Ok(Walked::Interrupted { cap, position }) => {
                self.round.interrupted(day.date, position);
                let is_time = matches!(cap.reason(), Reason::Truncated { cap: Cap::Time, .. });
                Ok((!is_time).then(|| DayEnd::Capped(cap.to_string())))
            }
            Err(error) if concerns_day(&error, self.summary.has_read) => {
                Ok(Some(DayEnd::Failed(Arc::new(error))))
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether other days may be read although this one failed. A time-out concerns the day if the
/// server has returned another one.
fn concerns_day(error: &PollError, has_read: bool) -> bool {
    match error {
        PollError::Incomplete(_) => true,
        PollError::Api(error) => match error.kind() {
            ErrorKind::Server
            | ErrorKind::Validation
            | ErrorKind::NotFound
            | ErrorKind::Html
            | ErrorKind::Unreadable
            | ErrorKind::BodyTooLarge => true,
            ErrorKind::Timeout => has_read,
            _ => false,
        },
        _ => false,
    }
}

/// What one poll read.
#[derive(Default)]
struct PollSummary {
    counts: PageCounts,
    unreadable: u64,
    unfiltered_pages: u64,
    /// Whether the poll has read a day to its end.
    has_read: bool,
    has_watermark: bool,
}

impl PollSummary {
    fn add(&mut self, run: &PollRun) {
        self.counts += run.counts;
        self.unreadable += run.unreadable;
        self.unfiltered_pages += run.unfiltered_pages;
        self.has_watermark = run.state.watermark.is_some();
    }

    fn describe(&self, days: usize) -> String {
        let PageCounts {
            new,
            revised,
            unsettled,
            outside_window,
            forgotten,
            ..
        } = self.counts;
        let mut text = format!("{} records of {days} days, {new} new", self.counts.total());
        for (count, word) in [
            (revised, "edited"),
            (unsettled, "not settled yet"),
            (outside_window, "outside the requested days"),
            (forgotten, "older than the journal"),
            (self.unreadable, "unreadable"),
        ] {
            if count > 0 {
                // Writing to a String does not fail.
                let _ = write!(text, ", {count} {word}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests;
