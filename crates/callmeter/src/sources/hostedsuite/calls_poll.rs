//! What a poll of calls works on: what is known between polls, the clocks, the budget, the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use callmeter_journal::{AccountState, Purpose};
use hostedsuite_client::FirstPage;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tracing::{info, warn};

use super::backfill_requests::ActiveRequest;
use super::budget::Budget;
use super::clocks::{Clocks, TOLERANCE};
use super::coverage::Coverage;
use super::days::Day;
use super::intervals::Rules;
use super::open_reading::OpenReading;
use super::outside::OutsideDays;
use super::reader::{CallsReader, Intake};
use super::summary::PollSummary;
use super::tail::Tail;
use crate::sources::error::PollError;
use crate::status::{CallsProgress, UnprovenDay};

/// To store days waits for the disk. What a crash leaves out is read again.
const STORE_EVERY: Duration = Duration::from_secs(1);

/// What is known of an account's calls between two polls.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
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
    /// Days whose last reading failed, with the error.
    pub(super) failing: BTreeMap<Date, Arc<PollError>>,
    /// Days with fewer rows than before, and how many.
    pub(super) fewer: BTreeMap<Date, u64>,
    /// Calls that the last reading of a day listed although they start far from it.
    pub(super) outside: OutsideDays,
    /// Whether a reading since the start had rows.
    pub(super) has_seen_rows: bool,
    /// Whether days were due in the last poll, and none could be read.
    pub(super) is_starved: bool,
    /// The day whose reading ended the last poll.
    pub(super) blamed: Option<Date>,
    /// Whether the last poll that asked got rows.
    pub(super) had_rows: bool,
    /// Past days that operators wait for.
    pub(super) requests: Vec<ActiveRequest>,
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
    /// When the days were stored last.
    pub(super) stored_at: Instant,
    /// Whether a request for a day was sent.
    pub(super) has_asked_for_days: bool,
    /// The days that were read in this poll, to their ends or not.
    pub(super) read: BTreeSet<Date>,
    pub(super) summary: PollSummary,
}

impl CallsMemory {
    pub(super) async fn load(reader: &CallsReader) -> Result<Self, PollError> {
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
            failing: BTreeMap::new(),
            fewer: BTreeMap::new(),
            outside: OutsideDays::default(),
            has_seen_rows: false,
            is_starved: false,
            blamed: None,
            had_rows: true,
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
    pub(super) fn compare_clocks(&mut self) {
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

    pub(super) fn update_days(&mut self) {
        let clocks = self.clocks();
        let watermark = self.memory.watermark(clocks);
        self.memory.coverage.update(clocks, &self.rules, watermark);
    }

    /// Stores the days that changed, but not more often than [`STORE_EVERY`]. The end of a poll
    /// stores the rest.
    pub(super) async fn store_if_due(&mut self) -> Result<(), PollError> {
        if self.stored_at.elapsed() < STORE_EVERY {
            return Ok(());
        }
        self.store().await?;
        self.stored_at = Instant::now();
        Ok(())
    }

    /// Stores the days that changed, and the watermark, which does not move back unless a clock
    /// was ahead.
    pub(super) async fn store(&mut self) -> Result<(), PollError> {
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
    ///
    /// The first request for a day is sent even if the tail took the poll's time: otherwise slow
    /// tails would keep all days from being read.
    pub(super) async fn may_send(&mut self, purpose: Purpose) -> Result<bool, PollError> {
        let now = Instant::now();
        self.budget
            .spend(self.reader.connection.retries.take(), now);
        if self.reader.connection.retries.take_throttled() {
            self.budget.throttled(None, now);
        }
        let ready = self.budget.ready_at(now);
        let is_first_of_days = purpose != Purpose::Tail && !self.has_asked_for_days;
        let is_over = if is_first_of_days {
            now > self.deadline
        } else {
            now > self.last_send
        };
        if is_over || ready > self.last_send.max(now) {
            return Ok(false);
        }
        if ready > now {
            let mut stop = self.reader.context.stop.clone();
            let sleep = tokio::time::sleep_until(ready);
            stop.unless_stopped(sleep).await.ok_or(PollError::Stopped)?;
        }
        self.budget.spend(1, ready);
        self.summary.has_asked = true;
        self.has_asked_for_days |= purpose != Purpose::Tail;
        Ok(true)
    }

    /// Reports what was read, and what may be missing, to the status.
    pub(super) fn report(&mut self) {
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
            requests_per_hour: self.budget.per_hour(now),
            requests_needed_per_hour: needed,
        };
        let context = &self.reader.context;
        let accounts = context.app.status.accounts();
        let (counts, notable) = self.summary.take_unreported();
        accounts.calls_read(&context.account, progress, counts, notable);
    }
}
