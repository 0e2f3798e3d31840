//! Reads one day of calls as a whole, and the tail.

use std::collections::HashSet;
use std::ops::Range;

use api_client::{Cap, ErrorKind, Reason};
use callmeter_journal::Purpose;
use hostedsuite_client::{CallsQuery, Caps, Ending, FirstPage};
use tokio::time::Instant;

use super::calls_poll::CallsPoll;
use super::coverage::Reading;
use super::days::{Day, span, with_margin};
use super::open_reading::{DayEnd, OpenReading};
use super::outside::{OutsideRows, Whose};
use super::reader::{Received, Taken};
use super::tail::{self, Finding, NextPage, TailRow, Waiting};
use crate::sources::error::PollError;

/// Readings without calls of a day that had some, after which the day may be empty: about a day.
const EMPTY_READINGS: u32 = 100;
/// Days of a poll that may fail because no answer comes; with one more, the account fails.
const MOST_UNANSWERED: u32 = 3;
/// Readings without rows and without a count, after which the day is empty if nothing is known of
/// the server yet.
const UNSTATED_READINGS: u32 = 2;
const TIME_LIMIT: &str = "calls.time_limit was reached";

impl CallsPoll<'_> {
    /// Reads a day from its first page, or from where it was interrupted.
    ///
    /// # Errors
    /// If a failure concerns the whole account. Pages read before are journaled.
    pub(super) async fn read_day(&mut self, day: Day) -> Result<DayEnd, PollError> {
        let mut open = self.open(day);
        let asked = span(&[day]);
        loop {
            if !self.may_send(Purpose::Regular).await? {
                if open.pages.is_refused()
                    && let Some(refusal) = open.pages.take_refusal()
                {
                    return self.failed(day, open, refusal);
                }
                let is_late = Instant::now() >= self.deadline;
                let cap = is_late.then(|| TIME_LIMIT.to_owned());
                return Ok(self.keep(day, open, cap, false));
            }
            let mut stop = self.reader.context.stop.clone();
            let answer = stop
                .unless_stopped(Box::pin(open.pages.next_answer()))
                .await;
            self.note_date(open.pages.date());
            match answer.ok_or(PollError::Stopped)? {
                None => break,
                Some(Ok(None)) => self.summary.has_answer |= !open.pages.is_refused(),
                Some(Ok(Some(page))) => {
                    let taken = self
                        .take(Purpose::Regular, day, page, asked.clone())
                        .await?;
                    self.note(day, &mut open, &taken);
                }
                Some(Err(error)) => return self.failed(day, open, error),
            }
        }
        self.memory.first_page = open.pages.first_page();
        // Rows without a count: it does not, or no longer.
        let counts_no_rows = open.rows > 0 && open.pages.count().is_none();
        self.memory.server_counts = open.pages.server_counts() && !counts_no_rows;
        Ok(self.ended(day, open))
    }

    /// The reading of a day that was interrupted, or a new one.
    fn open(&mut self, day: Day) -> OpenReading {
        let config = &self.reader.config;
        let caps = Caps {
            pages: config.max_pages.into(),
            rows: config.max_rows,
            time: self.deadline.saturating_duration_since(Instant::now()),
            ..Caps::default()
        };
        if let Some(mut open) = self.memory.open.remove(&day.date) {
            open.pages.go_on(caps);
            return open;
        }
        let query = self.day_query(day);
        let query = query
            .page_size(config.page_size)
            .first_page(self.memory.first_page)
            .server_counts(self.memory.server_counts)
            .caps(caps);
        let pages = self.reader.connection.client.calls(&query);
        let position = self.memory.coverage.position(day.date);
        let own = position.is_none().then(HashSet::default);
        let pages = match position {
            Some(position) => pages.resume(position),
            None => pages,
        };
        OpenReading {
            pages,
            reading: Reading {
                started: self.clocks().earliest(),
                ..Reading::default()
            },
            was_proven: self
                .memory
                .coverage
                .entry(day.date)
                .is_some_and(|entry| entry.proven_at.is_some()),
            rows: 0,
            unreadable: 0,
            first_unreadable: None,
            outside: OutsideRows::default(),
            own,
            new: 0,
            missed_by_tail: 0,
        }
    }

    /// The range of the last day includes the day after it, in case that the server's clock is
    /// ahead of ours.
    fn day_query(&self, day: Day) -> CallsQuery {
        let is_last = self
            .memory
            .coverage
            .span()
            .is_some_and(|(_, last)| last == day);
        if !is_last {
            return CallsQuery::on(day.date);
        }
        let next = day.date.tomorrow().unwrap_or(day.date);
        CallsQuery::days(day.date, next)
    }

    /// Puts a page of a request into the journal.
    async fn take(
        &mut self,
        purpose: Purpose,
        day: Day,
        page: hostedsuite_client::CallsPage,
        asked: Range<i64>,
    ) -> Result<Taken, PollError> {
        let mut intake = self.intake(purpose, day).await?;
        let accepted = match self.memory.coverage.span() {
            Some((first, last)) => with_margin(&span(&[first, last])),
            None => with_margin(&asked),
        };
        let received = Received {
            page,
            asked,
            accepted,
            at: self.clocks().of_records(),
        };
        let taken = self.reader.take(&mut intake, received).await?;
        self.intake = Some(intake);
        self.summary.add(&taken);
        Ok(taken)
    }

    /// Notes what a page of a day shows.
    fn note(&mut self, day: Day, open: &mut OpenReading, taken: &Taken) {
        if taken.shifted > 0 {
            self.memory.coverage.set_shifted();
        }
        let waiting: Vec<Waiting> = taken.waiting().collect();
        open.reading.waiting += waiting.len() as u64;
        let first = waiting.iter().map(|call| call.until).min();
        open.reading.waits_until = match (open.reading.waits_until, first) {
            (Some(before), Some(first)) => Some(before.min(first)),
            (before, first) => before.or(first),
        };
        if self.rules.has_tail {
            for call in &taken.new {
                let finding = self.memory.tail.finding(*call);
                let by_audit = open.was_proven && finding != Finding::Expected;
                self.summary.notable.found_by_audit += u64::from(by_audit);
                open.missed_by_tail += u64::from(by_audit && finding == Finding::Missed);
            }
        }
        open.new += taken.counts.new;
        open.rows += taken.counts.total() + taken.unreadable;
        open.unreadable += taken.unreadable;
        open.first_unreadable = open
            .first_unreadable
            .take()
            .or_else(|| taken.first_unreadable.clone());
        open.outside.add(&taken.rows);
        if let Some(own) = &mut open.own {
            let day = span(&[day]);
            let of_day = |row: &&TailRow| row.start.is_some_and(|start| day.contains(&start));
            own.extend(taken.rows.iter().filter(of_day).map(|row| row.id));
        }
        self.memory.tail.note_waiting(waiting);
    }

    /// Keeps a reading for the next poll.
    fn keep(&mut self, day: Day, open: OpenReading, cap: Option<String>, goes_on: bool) -> DayEnd {
        let position = open.stored_position();
        self.memory.open.insert(day.date, open);
        DayEnd::Interrupted {
            position,
            cap,
            goes_on,
        }
    }

    fn failed(
        &mut self,
        day: Day,
        open: OpenReading,
        error: api_client::Error,
    ) -> Result<DayEnd, PollError> {
        if error.kind() == ErrorKind::Truncated {
            let is_time = matches!(error.reason(), Reason::Truncated { cap: Cap::Time, .. });
            let cap = if is_time {
                TIME_LIMIT.to_owned()
            } else {
                error.to_string()
            };
            return Ok(self.keep(day, open, Some(cap), !is_time));
        }
        self.note_throttling(&error);
        self.memory.first_page = open.pages.first_page();
        if concerns_day(&error) || self.is_alone(&error) {
            return Ok(DayEnd::Failed(error.into()));
        }
        Err(error.into())
    }

    /// Whether only this day's request may fail in this way: the server has answered others in this
    /// poll, and few have failed.
    fn is_alone(&mut self, error: &api_client::Error) -> bool {
        let may_be = matches!(
            error.kind(),
            ErrorKind::Timeout
                | ErrorKind::Transport
                | ErrorKind::PermissionDenied
                | ErrorKind::Throttled
                | ErrorKind::Redirected
        );
        if !may_be || !self.summary.has_answer || self.summary.unanswered == MOST_UNANSWERED {
            return false;
        }
        self.summary.unanswered += 1;
        true
    }

    fn note_throttling(&mut self, error: &api_client::Error) {
        if error.kind() == ErrorKind::Throttled || error.retry_after().is_some() {
            self.budget.throttled(error.retry_after(), Instant::now());
        }
    }

    fn ended(&mut self, day: Day, open: OpenReading) -> DayEnd {
        let OpenReading {
            pages,
            mut reading,
            was_proven: _,
            rows,
            unreadable,
            first_unreadable,
            outside,
            own,
            new,
            missed_by_tail,
        } = open;
        let had = own.map(|own| own.len() as u64);
        self.memory.tail.judge(missed_by_tail, Instant::now());
        match pages.ending() {
            Some(Ending::Complete) => {}
            Some(Ending::Incomplete(shortfall)) => return DayEnd::Failed(shortfall.into()),
            Some(Ending::Refused) | None => {
                let text = "a walk ended without a reason".to_owned();
                return DayEnd::Failed(PollError::Internal(text));
            }
        }
        let failures = self.memory.coverage.entry(day.date);
        let failures = failures.map_or(0, |entry| entry.failures);
        // A server that counts says 0 of a day without calls.
        self.memory.has_seen_rows |= rows > 0;
        let may_count = !self.memory.has_seen_rows && failures < UNSTATED_READINGS;
        let is_unstated = rows == 0 && pages.is_unstated();
        if is_unstated && (self.memory.server_counts || may_count) {
            return DayEnd::Failed(PollError::Unstated);
        }
        if let Some(first) = first_unreadable {
            return DayEnd::Failed(PollError::UnreadableRows {
                rows: unreadable,
                first,
            });
        }
        let calls = outside.calls();
        match self.whose(day, outside) {
            Whose::None => {}
            Whose::AllDays => self.compare_outside_again(),
            Whose::ThisDay | Whose::Unclear { .. } => {
                return DayEnd::Failed(PollError::CallsOutside { calls });
            }
        }
        // The next reading finds what the order hid from this one.
        if pages.is_reordered() && new > 0 {
            return DayEnd::Failed(PollError::Reordered { new });
        }
        let before = self.memory.coverage.entry(day.date);
        let before = before.map_or(0, |entry| entry.received);
        if let Some(had) = had.filter(|_| before > 0) {
            // A server that fails may answer as if there were no calls at all.
            let has_others = self.memory.had_rows || self.summary.counts.total() > 0;
            if rows == 0 && !has_others && failures < EMPTY_READINGS {
                return DayEnd::Failed(PollError::Emptied { before });
            }
            if !self.readings_agree(day, had, before) {
                return DayEnd::Interrupted {
                    position: None,
                    cap: None,
                    goes_on: true,
                };
            }
        }
        reading.received = had.unwrap_or(before);
        reading.stated = pages.count();
        self.summary.days += 1;
        let (span, started) = (span(&[day]), reading.started.as_microsecond());
        self.memory.tail.day_was_read(&span, started);
        DayEnd::Proven(reading)
    }

    /// Whose the calls are that start far from the day. If that is not clear, other days are due.
    fn whose(&mut self, day: Day, outside: OutsideRows) -> Whose {
        let dates = self.memory.coverage.dates();
        let whose = self.memory.outside.judge(day.date, outside, dates);
        if let Whose::Unclear { unread } = &whose {
            for date in unread {
                self.memory.coverage.make_due(*date);
            }
        }
        whose
    }

    /// Reads days again that failed before it was known that other days list the same calls.
    fn compare_outside_again(&mut self) {
        for (date, error) in &self.memory.failing {
            if matches!(**error, PollError::CallsOutside { .. }) {
                self.memory.coverage.make_due(*date);
            }
        }
    }

    /// Whether a reading has at least as many calls as the last one. Missing calls are taken for
    /// deleted when a second reading does not have them either.
    fn readings_agree(&mut self, day: Day, had: u64, before: u64) -> bool {
        if had >= before {
            self.memory.fewer.remove(&day.date);
            return true;
        }
        let last = self.memory.fewer.insert(day.date, had);
        last.is_some_and(|last| had >= last)
    }

    /// Requests the end of the list, until everything new is found.
    ///
    /// # Errors
    /// If a failure concerns the whole account. Pages read before are journaled.
    pub(super) async fn read_tail(&mut self) -> Result<(), PollError> {
        let Some((_, today)) = self.memory.coverage.span() else {
            return Ok(());
        };
        let yesterday = today.date.yesterday().unwrap_or(today.date);
        let Some(yesterday) = self.memory.coverage.day(yesterday) else {
            return Ok(());
        };
        let most_rows = self.reader.config.page_size.min(tail::PAGE_ROWS);
        let mut page_rows = self.memory.tail.page_rows().min(most_rows);
        let mut query = tail::query(yesterday, today, page_rows);
        let now = self.clocks().of_records().as_microsecond();
        let mut run = self.memory.tail.start(yesterday, now);
        let mut first = tail::first_number(self.memory.first_page);
        let mut number = first;
        let mut refusal = None;
        loop {
            if !self.may_send(Purpose::Tail).await? {
                return match refusal {
                    Some(error) => self.tail_failed(error, today),
                    None => Ok(()),
                };
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            let request = self.reader.connection.client.calls_page(&query, number);
            let mut stop = self.reader.context.stop.clone();
            let answer = tokio::time::timeout(left, Box::pin(request));
            let page = match stop
                .unless_stopped(answer)
                .await
                .ok_or(PollError::Stopped)?
            {
                Ok(Ok(page)) => page,
                Ok(Err(error)) if number == 0 && self.memory.first_page == FirstPage::Unknown => {
                    // A server whose pages count from 1 may refuse page 0.
                    refusal = Some(error);
                    first = 1;
                    number = first;
                    continue;
                }
                Ok(Err(error)) => return self.tail_failed(error, today),
                Err(_) => return Ok(()),
            };
            self.note_date(page.date());
            let asked = span(&[yesterday, today]);
            let is_first_empty = page.is_empty() && number == 0;
            let has_no_calls = page.total_count() == Some(0) && self.memory.server_counts;
            let taken = self.take(Purpose::Tail, today, page, asked).await?;
            if is_first_empty && !has_no_calls && self.memory.first_page != FirstPage::Zero {
                // The pages may count from 1.
                first = 1;
                number = first;
                continue;
            }
            match self.memory.tail.page(&mut run, &taken.rows, Instant::now()) {
                NextPage::Request if page_rows < most_rows && run.restart(page_rows) => {
                    page_rows = most_rows;
                    query = tail::query(yesterday, today, page_rows);
                    number = first;
                }
                NextPage::Request => number += 1,
                NextPage::Done => break,
                NextPage::GiveUp => {
                    self.memory.tail.has_not_looked();
                    self.memory.coverage.make_due(today.date);
                    return Ok(());
                }
            }
        }
        self.memory.tail.end(run);
        Ok(())
    }

    /// A tail that failed makes today due, and the readings of days go on if they can.
    fn tail_failed(&mut self, error: api_client::Error, today: Day) -> Result<(), PollError> {
        self.note_throttling(&error);
        self.memory.tail.has_not_looked();
        self.memory.coverage.make_due(today.date);
        let is_of_tail = matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Transport);
        if !is_of_tail && !concerns_day(&error) {
            return Err(error.into());
        }
        self.summary.tail_failed(error.into());
        Ok(())
    }
}

/// Whether other requests may succeed although this one failed.
fn concerns_day(error: &api_client::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server
            | ErrorKind::Validation
            | ErrorKind::NotFound
            | ErrorKind::Html
            | ErrorKind::Unreadable
            | ErrorKind::BodyTooLarge
    )
}
