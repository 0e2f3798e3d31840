//! The poll of an account's calls: first the tail, then the days that are due.

use std::collections::BTreeMap;
use std::sync::Arc;

use callmeter_journal::{AccountState, PageCounts, Purpose};
use hostedsuite_client::FirstPage;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tracing::{info, warn};

use super::backfill_requests::ActiveRequest;
use super::budget::Budget;
use super::clocks::{Clocks, TOLERANCE};
use super::coverage::{Coverage, Rules};
use super::days::Day;
use super::reader::{CallsReader, Intake};
use super::readings::{DayEnd, OpenReading};
use super::summary::PollSummary;
use super::tail::Tail;
use crate::sources::error::PollError;
use crate::sources::poll::{Poll, Polled};
use crate::status::{CallsProgress, Task, UnprovenDay};

/// The poll of an account's calls.
pub(in crate::sources) struct CallsTask {
    pub(super) reader: CallsReader,
    /// `None` until it was loaded from the journal.
    pub(super) memory: Option<CallsMemory>,
    pub(super) budget: Budget,
}

/// What is known of an account's calls between two polls.
pub(super) struct CallsMemory {
    pub(super) state: AccountState,
    pub(super) coverage: Coverage,
    pub(super) tail: Tail,
    pub(super) first_page: FirstPage,
    /// Whether the server was seen to count rows.
    pub(super) server_counts: bool,
    /// How far the server's clock is ahead.
    pub(super) skew: Option<SignedDuration>,
    /// Whether the log says that the clocks differ.
    clocks_differ: bool,
    /// Readings that were interrupted.
    pub(super) open: BTreeMap<Date, OpenReading>,
    /// Past days that operators wait for.
    requests: Vec<ActiveRequest>,
}

/// One poll.
pub(super) struct CallsPoll<'t> {
    pub(super) reader: &'t CallsReader,
    pub(super) memory: &'t mut CallsMemory,
    pub(super) budget: &'t mut Budget,
    pub(super) rules: Rules,
    pub(super) started: Timestamp,
    /// No request is sent after this.
    pub(super) last_send: Instant,
    /// No request takes longer than until then.
    pub(super) deadline: Instant,
    pub(super) intake: Option<Intake>,
    pub(super) summary: PollSummary,
}

impl CallsTask {
    pub(in crate::sources) fn new(reader: CallsReader) -> Self {
        let budget = Budget::new(reader.config.max_requests_per_minute, Instant::now());
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
            summary: PollSummary::default(),
        };
        poll.update_days();
        if is_new {
            poll.make_recent_days_due();
        }
        Ok(poll)
    }
}

impl Poll for CallsTask {
    fn task(&self) -> Task {
        Task::Calls
    }

    async fn run(&mut self) -> Result<Polled, PollError> {
        let mut poll = self.begin().await?;
        let result = poll.read().await;
        poll.report();
        result?;
        poll.finish()
    }

    fn remove_gauges(&mut self) {
        // Calls have counters only, which stay.
    }
}

impl CallsMemory {
    async fn load(reader: &CallsReader) -> Result<Self, PollError> {
        let (state, days) = reader.stored().await?;
        let first_page = match (reader.config.page_base, state.page_base) {
            (Some(number), _) => FirstPage::Fixed(number),
            (None, Some(0)) => FirstPage::Zero,
            (None, Some(1)) => FirstPage::One,
            (None, _) => FirstPage::Unknown,
        };
        Ok(Self {
            state,
            coverage: Coverage::new(reader.zone.clone(), days),
            tail: Tail::default(),
            first_page,
            server_counts: false,
            skew: None,
            clocks_differ: false,
            open: BTreeMap::new(),
            requests: Vec::new(),
        })
    }

    pub(super) fn has_tail(&self, reader: &CallsReader, now: Instant) -> bool {
        reader.config.tail && self.tail.is_prepared() && self.tail.is_trusted(now)
    }

    /// The time up to which the account has been read, unless a clock gave it that was ahead.
    fn watermark(&self, clocks: Clocks) -> Option<Timestamp> {
        let watermark = Timestamp::from_microsecond(self.state.watermark?).ok()?;
        let latest = clocks.latest().saturating_add(TOLERANCE).ok()?;
        (watermark <= latest).then_some(watermark)
    }
}

impl CallsPoll<'_> {
    /// What both clocks say now.
    pub(super) fn clocks(&self) -> Clocks {
        Clocks {
            local: self.reader.clock.now(),
            skew: self.memory.skew,
        }
    }

    /// Notes the time of the server's clock.
    pub(super) fn note_date(&mut self, date: Option<Timestamp>) {
        if let Some(date) = date {
            let now = self.reader.clock.now();
            self.memory.skew = Some(date.duration_since(now));
        }
    }

    /// Logs when the clocks begin to differ, and when they agree again.
    fn compare_clocks(&mut self) {
        let clocks = self.clocks();
        let differ = !clocks.agree();
        if differ == std::mem::replace(&mut self.memory.clocks_differ, differ) {
            return;
        }
        let account = &*self.reader.context.account;
        if differ {
            warn!(
                account,
                server_ahead_seconds = self.memory.skew.map(|skew| skew.as_secs()),
                "this machine's clock and the server's differ: a day counts as over when it is by both"
            );
        } else {
            info!(account, "this machine's clock and the server's agree again");
        }
    }

    fn update_days(&mut self) {
        let clocks = self.clocks();
        let watermark = self.memory.watermark(clocks);
        self.memory.coverage.update(clocks, &self.rules, watermark);
    }

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
        if self.rules.has_tail {
            self.read_tail().await?;
        }
        loop {
            // The server's clock is known after the first answer.
            self.update_days();
            let next = self.memory.coverage.next(self.started, &self.rules);
            let Some(day) = next.and_then(|date| self.memory.coverage.day(date)) else {
                return Ok(());
            };
            if !self.read_one(day).await? {
                return Ok(());
            }
        }
    }

    /// Makes the days due that operators asked for.
    async fn take_requests(&mut self) -> Result<(), PollError> {
        let context = &self.reader.context;
        for request in context.app.backfills.take(&context.account) {
            let left = self.ask(&request.days, request.again).await?;
            self.memory.requests.push(request.start(left));
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
        let end = self.read_day(day).await?;
        self.compare_clocks();
        let is_proven = matches!(end, DayEnd::Proven(_));
        let clocks = self.clocks();
        let coverage = &mut self.memory.coverage;
        let goes_on = match end {
            DayEnd::Proven(reading) => {
                coverage.proven(day.date, &reading, clocks, &self.rules);
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
                    self.summary.capped(day.date, cap);
                }
                goes_on
            }
            DayEnd::Failed(error) => {
                let text = callmeter_error_chain::chain(&error);
                let text = self.reader.context.app.redactor.scrub(&text);
                coverage.failed(day.date, text, clocks.local, &self.rules);
                self.summary.failed(day.date, Arc::new(error));
                true
            }
        };
        self.tell(day.date, before, is_proven);
        self.store().await?;
        self.report();
        Ok(goes_on)
    }

    /// Stores the days that changed, and the watermark, which does not move back unless a clock
    /// was ahead.
    async fn store(&mut self) -> Result<(), PollError> {
        let clocks = self.clocks();
        let trusted = self.memory.watermark(clocks).map(Timestamp::as_microsecond);
        let state = AccountState {
            watermark: trusted.max(self.memory.coverage.proven_until()),
            page_base: match self.memory.first_page {
                FirstPage::Zero => Some(0),
                FirstPage::One => Some(1),
                FirstPage::Unknown => None,
                FirstPage::Fixed(_) => self.memory.state.page_base,
            },
        };
        let change = self.memory.coverage.take_change();
        if state != self.memory.state || !change.is_empty() {
            self.reader.store(state, change).await?;
            self.memory.state = state;
        }
        Ok(())
    }

    /// Notes that an operator asked for days; returns those that have to be read.
    pub(super) async fn ask(&mut self, days: &[Date], again: bool) -> Result<Vec<Date>, PollError> {
        let coverage = &mut self.memory.coverage;
        let asked = days.iter().copied();
        let asked: Vec<Date> = asked.filter(|day| coverage.ask(*day, again)).collect();
        self.store().await?;
        Ok(asked)
    }

    /// The session for a day: recent days have one, which also knows which calls of the look-back
    /// the poll has seen.
    pub(super) async fn intake(&mut self, purpose: Purpose, day: Day) -> Result<Intake, PollError> {
        let recent = self.recent();
        let (purpose, range) = if day.start.as_microsecond() >= recent.start {
            (purpose, recent)
        } else {
            (Purpose::Backfill, super::days::step(day, &self.reader.zone))
        };
        let matching = self
            .intake
            .take_if(|intake| intake.purpose == purpose && intake.range == range);
        match matching {
            Some(intake) => Ok(intake),
            None => self.reader.begin(purpose, range).await,
        }
    }

    /// The start times of the look-back.
    fn recent(&self) -> std::ops::Range<i64> {
        let clocks = self.clocks();
        let earliest = clocks.earliest();
        let start = earliest
            .saturating_sub(self.reader.config.lookback)
            .unwrap_or(earliest);
        let first = Day::of(
            start.to_zoned(self.reader.zone.clone()).date(),
            &self.reader.zone,
        );
        let last = self.memory.coverage.span().map(|(_, last)| last);
        let start = first.map_or(0, |day| day.start.as_microsecond());
        start..last.map_or(start, |day| day.end.as_microsecond())
    }

    /// Waits until the budget allows a request. False if the poll's time is over before that.
    pub(super) async fn may_send(&mut self) -> Result<bool, PollError> {
        let now = Instant::now();
        self.budget.spend(self.reader.retries.take(), now);
        let ready = self.budget.ready_at(now);
        if now > self.last_send || ready > self.last_send {
            return Ok(false);
        }
        if ready > now {
            let mut stop = self.reader.context.stop.clone();
            let sleep = tokio::time::sleep_until(ready);
            stop.unless_stopped(sleep).await.ok_or(PollError::Stopped)?;
        }
        self.budget.spend(1, ready);
        Ok(true)
    }

    /// Reports what was read, and what may be missing, to the status.
    fn report(&mut self) {
        let clocks = self.clocks();
        let coverage = &self.memory.coverage;
        let unproven: Vec<UnprovenDay> = coverage
            .incomplete(self.started, clocks, &self.rules)
            .into_iter()
            .map(|day| UnprovenDay {
                date: day.day,
                asked: day.asked,
                reason: day.reason,
            })
            .collect();
        let now = Instant::now();
        let micros = |micros: i64| Timestamp::from_microsecond(micros).ok();
        let watermark = self.memory.state.watermark.and_then(micros);
        let first_unproven = unproven.iter().find(|day| !day.asked);
        let complete_until = match first_unproven.and_then(|day| coverage.day(day.date)) {
            Some(day) => watermark.map(|watermark| watermark.min(day.start)),
            None => watermark,
        };
        let needed = coverage.requests_per_hour(self.reader.config.page_size, clocks, &self.rules);
        let progress = CallsProgress {
            watermark,
            complete_until,
            unproven,
            waiting: coverage.waiting(),
            clock_skew: self.memory.skew,
            tail: if self.reader.config.tail {
                self.memory.tail.distrusted(now).map(str::to_owned)
            } else {
                None
            },
            requests_last_hour: self.budget.used(now),
            requests_per_hour: self.budget.per_hour(),
            requests_needed_per_hour: needed,
        };
        let context = &self.reader.context;
        let accounts = context.app.status.accounts();
        let (counts, notable) = self.summary.take_unreported();
        accounts.calls_read(&context.account, progress, counts, notable);
    }

    pub(super) fn finish(self) -> Result<Polled, PollError> {
        let Self {
            summary, reader, ..
        } = self;
        if summary.unfiltered_pages > 0 {
            warn!(
                account = &*reader.context.account,
                pages = summary.unfiltered_pages,
                "most calls of a page are not of the requested day: the server seems to ignore the dates of requests"
            );
        }
        summary.end()
    }
}

impl PollSummary {
    /// Adds what became of a page.
    pub(super) fn add(&mut self, taken: &super::reader::Taken) {
        self.has_answer = true;
        let counts: PageCounts = taken.counts;
        self.counts += counts;
        self.unreadable += taken.unreadable;
        self.notable.implausible += taken.implausible;
        self.unfiltered_pages += u64::from(taken.unexpected * 2 > counts.total());
    }
}

#[cfg(test)]
mod tests;
