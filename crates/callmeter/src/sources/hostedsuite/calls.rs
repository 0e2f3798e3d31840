//! The poll of an account's calls: first the tail, then the days that are due.

use std::collections::BTreeSet;
use std::sync::Arc;

use callmeter_journal::PageCounts;
use jiff::civil::Date;
use tokio::time::Instant;
use tracing::warn;

use super::backfill_requests::ActiveRequest;
use super::budget::Budget;
use super::calls_poll::{CallsMemory, CallsPoll};
use super::days::Day;
use super::intervals::Rules;
use super::open_reading::DayEnd;
use super::reader::CallsReader;
use super::summary::PollSummary;
use crate::sources::error::PollError;
use crate::sources::poll::{Poll, Polled};
use crate::status::Task;

/// The poll of an account's calls.
pub(in crate::sources) struct CallsTask {
    pub(super) reader: CallsReader,
    /// `None` until it was loaded from the journal.
    pub(super) memory: Option<CallsMemory>,
    pub(super) budget: Budget,
}

impl CallsTask {
    pub(in crate::sources) fn new(reader: CallsReader) -> Self {
        let limit = reader.config.max_requests_per_minute;
        let app = &reader.context.app;
        let is_shared = app.journal.is_shared();
        let budget = app.budgets.take(&reader.context.account, limit, is_shared);
        Self {
            reader,
            memory: None,
            budget,
        }
    }

    /// Starts a poll: loads what the journal has, and adds the days up to today.
    pub(super) async fn begin(&mut self) -> Result<CallsPoll<'_>, PollError> {
        let started = self.reader.clock.now();
        let now = Instant::now();
        let config = &self.reader.config;
        let is_new = self.memory.is_none();
        let memory = match self.memory.take() {
            Some(memory) => memory,
            None => CallsMemory::load(&self.reader).await?,
        };
        let memory = self.memory.insert(memory);
        let rules = Rules::new(config, memory.has_tail(&self.reader, now));
        let deadline = now + config.time_limit;
        let last_send = if config.tail {
            // The next poll starts with the tail.
            deadline.min(now + config.every.mul_f64(0.9))
        } else {
            deadline
        };
        let mut poll = CallsPoll {
            reader: &self.reader,
            memory,
            budget: &mut self.budget,
            rules,
            started,
            last_send,
            deadline,
            intake: None,
            stored_at: now,
            has_asked_for_days: false,
            read: BTreeSet::new(),
            summary: PollSummary::default(),
        };
        poll.update_days();
        if is_new {
            poll.make_recent_days_due();
        }
        Ok(poll)
    }
}

impl Drop for CallsTask {
    fn drop(&mut self) {
        let context = &self.reader.context;
        let budget = std::mem::replace(&mut self.budget, Budget::new(1, Instant::now()));
        context.app.budgets.keep(&context.account, budget);
    }
}

impl Poll for CallsTask {
    fn task(&self) -> Task {
        Task::Calls
    }

    async fn run(&mut self) -> Result<Polled, PollError> {
        let mut poll = self.begin().await?;
        let result = poll.read().await;
        let stored = poll.store().await;
        poll.report();
        result?;
        stored?;
        poll.finish()
    }

    fn remove_gauges(&mut self) {
        // Calls have counters only, which stay.
    }
}

impl CallsPoll<'_> {
    /// A process that starts does not know which calls have not settled, nor which it may have
    /// missed. Reading the days of the tail as a whole tells.
    fn make_recent_days_due(&mut self) {
        let recent: Vec<Date> = self.memory.coverage.dates().collect();
        for date in recent.iter().rev().take(2) {
            self.memory.coverage.make_due(*date);
        }
    }

    /// Runs the tail, then reads the days that are due.
    async fn read(&mut self) -> Result<(), PollError> {
        self.take_requests().await?;
        // If days are due and the tail takes all of the budget, every other poll leaves it out.
        if self.rules.has_tail && !std::mem::take(&mut self.memory.is_starved) {
            self.read_tail().await?;
        }
        let result = self.read_due_days().await;
        let is_due = self.next_day(None).is_some();
        self.memory.is_starved = is_due && !self.has_asked_for_days;
        result
    }

    async fn read_due_days(&mut self) -> Result<(), PollError> {
        loop {
            // The server's clock is known after the first answer.
            self.update_days();
            // After a failure, another day comes first, in case that only that one fails.
            let blamed = self.memory.blamed;
            let next = self.next_day(blamed).or_else(|| self.next_day(None));
            let Some(day) = next.and_then(|date| self.memory.coverage.day(date)) else {
                return Ok(());
            };
            if !self.read_one(day).await? {
                return Ok(());
            }
        }
    }

    /// The next day that is due and was not read in this poll, other than one.
    fn next_day(&self, except: Option<Date>) -> Option<Date> {
        let coverage = &self.memory.coverage;
        coverage.next(self.started, self.clocks(), &self.rules, |date| {
            self.read.contains(&date) || except == Some(date)
        })
    }

    /// Makes the days due that operators asked for.
    async fn take_requests(&mut self) -> Result<(), PollError> {
        let context = &self.reader.context;
        for request in context.app.backfills.take(&context.account) {
            let left = self.ask(&request.days, request.again).await?;
            let today = self.memory.coverage.span();
            let today = today.map_or(Date::MAX, |(_, last)| last.date);
            self.memory.requests.push(request.start(left, today));
        }
        Ok(())
    }

    /// Tells those who wait for a day how its reading ended.
    fn tell(&mut self, day: Date, before: PageCounts, is_proven: bool) {
        let counts = self.summary.counts.since(before);
        let failure = self.memory.coverage.entry(day);
        let failure = failure.and_then(|entry| entry.failure.as_deref());
        for request in &mut self.memory.requests {
            request.day_ended(day, &counts, is_proven, failure);
        }
        self.memory.requests.retain(ActiveRequest::is_waited_for);
    }

    /// Reads a day and notes how that ended. False if the poll's time is over.
    pub(super) async fn read_one(&mut self, day: Day) -> Result<bool, PollError> {
        let before = self.summary.counts;
        self.read.insert(day.date);
        self.memory.blamed = Some(day.date);
        let end = self.read_day(day).await?;
        self.memory.blamed = None;
        self.compare_clocks();
        let is_proven = matches!(end, DayEnd::Proven(_));
        let clocks = self.clocks();
        let coverage = &mut self.memory.coverage;
        let goes_on = match end {
            DayEnd::Proven(reading) => {
                coverage.proven(day.date, &reading, clocks, &self.rules);
                self.memory.failing.remove(&day.date);
                if clocks.of_records() < day.end {
                    self.memory.tail.prepare();
                }
                true
            }
            DayEnd::Interrupted {
                position,
                cap,
                goes_on,
            } => {
                let text = cap.clone();
                coverage.interrupted(day.date, position, text, clocks.local);
                if let Some(cap) = cap {
                    self.memory.failing.remove(&day.date);
                    self.summary.capped(day.date, cap);
                }
                goes_on
            }
            DayEnd::Failed(error) => {
                let text = callmeter_error_chain::chain(&error);
                let text = self.reader.context.app.redactor.scrub(&text);
                let lasting = matches!(
                    error,
                    PollError::UnreadableRows { .. } | PollError::CallsOutside { .. }
                );
                coverage.failed(day.date, text, lasting, clocks, &self.rules);
                self.memory.failing.insert(day.date, Arc::new(error));
                true
            }
        };
        self.tell(day.date, before, is_proven);
        self.store_if_due().await?;
        self.report();
        Ok(goes_on)
    }

    /// Notes that an operator asked for days; returns those that have to be read.
    pub(super) async fn ask(&mut self, days: &[Date], again: bool) -> Result<Vec<Date>, PollError> {
        let coverage = &mut self.memory.coverage;
        let today = coverage.span().map(|(_, last)| last.date);
        let come = days.iter().copied().filter(|day| Some(*day) <= today);
        let asked: Vec<Date> = come.filter(|day| coverage.ask(*day, again)).collect();
        self.store().await?;
        Ok(asked)
    }

    pub(super) fn finish(self) -> Result<Polled, PollError> {
        let Self {
            summary,
            reader,
            memory,
            ..
        } = self;
        if summary.unfiltered_pages > 0 {
            warn!(
                account = &*reader.context.account,
                pages = summary.unfiltered_pages,
                "most calls of a page are not of the requested day: the server seems to ignore the dates of requests"
            );
        }
        if summary.has_asked {
            memory.had_rows = summary.counts.total() > 0;
        }
        let coverage = &memory.coverage;
        let is_expected = |day: &Date| coverage.entry(*day).is_some();
        memory.failing.retain(|day, _| is_expected(day));
        memory.open.retain(|day, _| is_expected(day));
        memory.fewer.retain(|day, _| is_expected(day));
        memory.outside.retain(|day| is_expected(&day));
        // Those who asked for a day are told.
        let is_asked = |day: &Date| coverage.entry(*day).is_some_and(|entry| entry.asked);
        let failing = memory.failing.iter().filter(|(day, _)| !is_asked(day));
        summary.end(failing)
    }
}

#[cfg(test)]
mod tests;
