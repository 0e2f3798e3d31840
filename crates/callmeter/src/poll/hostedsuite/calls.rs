//! Calls: day by day, page by page, each page journaled and counted before the next is asked for.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use api_client::{Cap, ErrorKind, Reason};
use callmeter_journal::{AccountState, IngestSession, PageCounts, PollOptions, Purpose};
use callmeter_records::{Stream, TimeReader};
use hostedsuite_client::{CallsPage, CallsQuery, Caps, Client, Error, PageBase};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::Instant;

use super::convert::CallConverter;
use crate::config::Calls;
use crate::poll::blocking::blocking;
use crate::poll::days::{Day, days_to_read, span, steps};
use crate::poll::error::PollError;
use crate::poll::runner::{AccountContext, Poll, Polled};
use crate::status::Task;

/// The poll of an account's calls.
pub(in crate::poll) struct CallsTask {
    reader: CallsReader,
    late: u64,
    duplicate: u64,
    outside_window: u64,
}

impl CallsTask {
    pub(in crate::poll) fn new(reader: CallsReader) -> Self {
        Self {
            reader,
            late: 0,
            duplicate: 0,
            outside_window: 0,
        }
    }

    /// Shows what a poll saw, also one that failed later on.
    fn show(&mut self, run: &PollRun) {
        let counts = run.counts;
        self.late += counts.late;
        self.duplicate += counts.known + counts.repeated;
        self.outside_window += counts.outside_window;
        let (late, duplicate, outside_window) = (self.late, self.duplicate, self.outside_window);
        let watermark = run.state.watermark;
        let context = &self.reader.context;
        context.app.meter.update(|ledger| {
            ledger.set_gauges(&context.account, |state| {
                state.late = late;
                state.duplicate = duplicate;
                state.outside_window = outside_window;
                state.watermark = watermark;
            });
        });
        let watermark = watermark.and_then(|micros| Timestamp::from_microsecond(micros).ok());
        context
            .app
            .status
            .change_account(&context.account, |account| {
                account.watermark = watermark;
            });
    }
}

impl Poll for CallsTask {
    fn task(&self) -> Task {
        Task::Calls
    }

    async fn run(&mut self) -> Result<Polled, PollError> {
        let now = Timestamp::now();
        let deadline = Instant::now() + self.reader.config.time_limit;
        let state = self.reader.state().await?;
        let watermark = state
            .watermark
            .and_then(|micros| Timestamp::from_microsecond(micros).ok());
        let Calls {
            lookback, history, ..
        } = self.reader.config;
        let days = days_to_read(watermark, lookback, history, now, &self.reader.zone);
        let start = span(&days).start;
        let lookback_micros = i64::try_from(lookback.as_micros()).unwrap_or(i64::MAX);
        let mut found = PollSummary::default();
        let mut truncated = None;
        for step in steps(&days, lookback) {
            let step_span = span(step);
            // What may repeat or be edited lies within the lookback; what is older is not held in memory.
            let known_from = step_span.start.saturating_sub(lookback_micros).max(start);
            let range = known_from..step_span.end;
            let mut run = self.reader.begin(Purpose::Regular, range).await?;
            let outcome = self
                .reader
                .read_days(&mut run, step, now, deadline, &mut truncated)
                .await;
            self.show(&run);
            found.add(&run);
            if outcome? == TimeLeft::No {
                break;
            }
        }
        Ok(Polled {
            found: found.in_words(days.len()),
            truncated,
        })
    }

    fn vanish(&mut self) {
        // Counters stay while the account is configured; there is no gauge of the last poll.
    }
}

/// What one poll did.
#[derive(Default)]
struct PollSummary {
    counts: PageCounts,
    unreadable: u64,
}

impl PollSummary {
    fn add(&mut self, run: &PollRun) {
        self.counts += run.counts;
        self.unreadable += run.unreadable;
    }

    fn in_words(&self, days: usize) -> String {
        let PageCounts {
            new,
            revised,
            unsettled,
            outside_window,
            ..
        } = self.counts;
        let mut text = format!("{} records of {days} days, {new} new", self.counts.total());
        for (count, word) in [
            (revised, "edited"),
            (unsettled, "not settled yet"),
            (outside_window, "outside the day asked for"),
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

/// Whether a poll may go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TimeLeft {
    Yes,
    No,
}

/// Reads days of calls into journal and meter.
#[derive(Clone)]
pub(crate) struct CallsReader {
    pub(in crate::poll) context: AccountContext,
    pub(in crate::poll) client: Client,
    pub(in crate::poll) config: Calls,
    pub(in crate::poll) zone: TimeZone,
    /// Rest after each page, for who has time.
    pub(in crate::poll) pause: Duration,
}

/// One way through some days.
pub(crate) struct PollRun {
    /// Absent only while a page is worked on elsewhere.
    poll: Option<IngestSession>,
    times: Option<TimeReader>,
    state: AccountState,
    base: PageBase,
    /// What became of the rows so far.
    pub(crate) counts: PageCounts,
    /// Rows that could not be read at all.
    pub(crate) unreadable: u64,
}

/// What reading one day came to.
enum DayEnd {
    /// All of it was read.
    Complete,
    /// A cap ended it.
    Capped(Error),
}

impl CallsReader {
    /// How far the account has been read.
    pub(crate) async fn state(&self) -> Result<AccountState, PollError> {
        let journal = self.context.app.journal.clone();
        let account = Arc::clone(&self.context.account);
        Ok(blocking(move || journal.account_state(&account)).await??)
    }

    /// Begins a run through days in a range of UTC microseconds, in which calls are known again.
    pub(crate) async fn begin(
        &self,
        purpose: Purpose,
        range: Range<i64>,
    ) -> Result<PollRun, PollError> {
        let options = PollOptions {
            purpose,
            range,
            settle: self.config.settle,
        };
        let journal = self.context.app.journal.clone();
        let account = Arc::clone(&self.context.account);
        let poll = blocking(move || journal.ingest_session(&account, options)).await??;
        let state = poll.state();
        Ok(PollRun {
            base: match (self.config.page_base, state.page_base) {
                (Some(0), _) | (None, Some(0)) => PageBase::Zero,
                (Some(_), _) | (None, Some(1)) => PageBase::One,
                (None, _) => PageBase::Unknown,
            },
            state,
            poll: Some(poll),
            times: Some(TimeReader::new(self.zone.clone())),
            counts: PageCounts::default(),
            unreadable: 0,
        })
    }

    /// Reads the days in order; the watermark follows as long as nothing was left out. The first
    /// cap that is reached is put into `capped`, in words.
    async fn read_days(
        &self,
        run: &mut PollRun,
        days: &[Day],
        started: Timestamp,
        deadline: Instant,
        capped: &mut Option<String>,
    ) -> Result<TimeLeft, PollError> {
        for day in days {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.read_day(run, *day, left).await? {
                DayEnd::Complete => {
                    if capped.is_none() {
                        let read_to = day.end.min(started).as_microsecond();
                        self.move_watermark(run, read_to).await?;
                    }
                }
                DayEnd::Capped(error) => {
                    let no_time_left =
                        matches!(error.reason(), Reason::Truncated { cap: Cap::Time, .. });
                    capped.get_or_insert(format!("{}: {error}", day.date));
                    if no_time_left {
                        return Ok(TimeLeft::No);
                    }
                }
            }
        }
        Ok(TimeLeft::Yes)
    }

    /// Reads one day for a backfill. Returns the cap that was reached, in words.
    pub(crate) async fn read_past_day(
        &self,
        run: &mut PollRun,
        day: Day,
        limit: Duration,
    ) -> Result<Option<String>, PollError> {
        Ok(match self.read_day(run, day, limit).await? {
            DayEnd::Complete => None,
            DayEnd::Capped(error) => Some(error.to_string()),
        })
    }

    async fn read_day(
        &self,
        run: &mut PollRun,
        day: Day,
        limit: Duration,
    ) -> Result<DayEnd, PollError> {
        let query = CallsQuery::on(day.date)
            .page_size(self.config.page_size)
            .page_base(run.base)
            .caps(Caps {
                pages: self.config.max_pages.into(),
                rows: self.config.max_rows,
                time: limit,
                ..Caps::default()
            });
        let mut pages = self.client.calls(&query);
        let mut stop = self.context.stop.clone();
        loop {
            let next = stop
                .unless_stopped(Box::pin(pages.next()))
                .await
                .ok_or(PollError::Stopped)?;
            match next {
                Some(Ok(page)) => {
                    self.take_page(run, page, day).await?;
                    if !self.pause.is_zero() {
                        let rest = tokio::time::sleep(self.pause);
                        stop.unless_stopped(rest).await.ok_or(PollError::Stopped)?;
                    }
                }
                Some(Err(error)) if error.kind() == ErrorKind::Truncated => {
                    return Ok(DayEnd::Capped(error));
                }
                Some(Err(error)) => return Err(error.into()),
                None => break,
            }
        }
        run.base = pages.base();
        // The client passes over rows that it has handed out already.
        run.counts.repeated += pages.summary().repeated;
        Ok(DayEnd::Complete)
    }

    /// Journals and counts a page, off the threads that serve the network.
    async fn take_page(
        &self,
        run: &mut PollRun,
        page: CallsPage,
        day: Day,
    ) -> Result<(), PollError> {
        let (Some(mut poll), Some(mut times)) = (run.poll.take(), run.times.take()) else {
            return Err(PollError::Internal("a page was interrupted".to_owned()));
        };
        let context = self.context.clone();
        let window = span(&[day]);
        let observed_at = Timestamp::now().as_microsecond();
        let (taken, poll, times) = blocking(move || {
            let taken = take(&context, &mut poll, &mut times, &page, window, observed_at);
            (taken, poll, times)
        })
        .await?;
        run.poll = Some(poll);
        run.times = Some(times);
        let taken = taken?;
        run.counts += taken.counts;
        run.unreadable += taken.unreadable;
        Ok(())
    }

    /// Stores the watermark, where it moves, along with what is known of the page base.
    async fn move_watermark(&self, run: &mut PollRun, read_to: i64) -> Result<(), PollError> {
        let state = AccountState {
            watermark: run.state.watermark.max(Some(read_to)),
            page_base: match run.base {
                PageBase::Zero => Some(0),
                PageBase::One => Some(1),
                PageBase::Unknown => run.state.page_base,
            },
        };
        if state == run.state {
            return Ok(());
        }
        let Some(mut poll) = run.poll.take() else {
            return Err(PollError::Internal("a page was interrupted".to_owned()));
        };
        let (stored, poll) = blocking(move || {
            let stored = poll
                .page(0..0, read_to)
                .and_then(|page| page.commit(Some(state)));
            (stored, poll)
        })
        .await?;
        run.poll = Some(poll);
        stored?;
        run.state = state;
        Ok(())
    }
}

/// What a page came to.
struct PageResult {
    counts: PageCounts,
    unreadable: u64,
}

/// Commits a page and counts what was new in it, in one go: nothing may come between.
fn take(
    context: &AccountContext,
    poll: &mut IngestSession,
    times: &mut TimeReader,
    page: &CallsPage,
    window: Range<i64>,
    observed_at: i64,
) -> Result<PageResult, PollError> {
    let mut pending = poll.page(window, observed_at)?;
    let mut converter = CallConverter::new(times);
    let mut unreadable = 0;
    for row in page.calls() {
        match row {
            Ok(row) => {
                converter.convert(row, |call| pending.add(call))?;
            }
            Err(_) => unreadable += 1,
        }
    }
    let app = &context.app;
    let timer = app.metrics.journal_append_duration.start_timer();
    let committed = pending.commit(None)?;
    if committed.batches.is_empty() {
        timer.stop_and_discard();
    } else {
        timer.observe_duration();
        app.count(Stream::Calls, &committed.batches)?;
    }
    context.count_unreadable(Task::Calls, unreadable);
    Ok(PageResult {
        counts: committed.counts,
        unreadable,
    })
}
