//! The poll of an account's calls: day by day, page by page. Each page is journaled and counted
//! before the next is requested.

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
use super::days::{Day, days_to_read, span, steps};
use crate::config::Calls;
use crate::sources::blocking::blocking;
use crate::sources::error::PollError;
use crate::sources::poll::{AccountContext, Poll, Polled};
use crate::status::Task;

/// The poll of an account's calls.
pub(in crate::sources) struct CallsTask {
    reader: CallsReader,
}

impl CallsTask {
    pub(in crate::sources) fn new(reader: CallsReader) -> Self {
        Self { reader }
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
        let mut summary = PollSummary::default();
        let mut truncated = None;
        for step in steps(&days, lookback) {
            let step_span = span(step);
            // Only calls within the lookback may repeat or be edited; older ones are not kept in
            // memory.
            let known_from = step_span.start.saturating_sub(lookback_micros).max(start);
            let range = known_from..step_span.end;
            let mut run = self.reader.begin(Purpose::Regular, range).await?;
            let outcome = self
                .reader
                .read_days(&mut run, step, now, deadline, &mut truncated)
                .await;
            // Also when the step failed: the pages before are journaled and counted.
            let context = &self.reader.context;
            let accounts = context.app.status.accounts();
            accounts.calls_read(&context.account, run.state.watermark, run.counts);
            summary.add(&run);
            if outcome? == TimeLeft::No {
                break;
            }
        }
        Ok(Polled {
            found: summary.describe(days.len()),
            truncated,
        })
    }

    fn remove_gauges(&mut self) {
        // Calls have counters only, which stay.
    }
}

/// What one poll read.
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

    fn describe(&self, days: usize) -> String {
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
            (outside_window, "outside the requested day"),
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

/// Whether the poll has time to continue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TimeLeft {
    Yes,
    No,
}

/// Reads days of calls into journal and meter.
#[derive(Clone)]
pub(crate) struct CallsReader {
    pub(in crate::sources) context: AccountContext,
    pub(in crate::sources) client: Client,
    pub(in crate::sources) config: Calls,
    pub(in crate::sources) zone: TimeZone,
    /// Pause after each page.
    pub(in crate::sources) pause: Duration,
}

/// The state of reading some days.
pub(crate) struct PollRun {
    /// `None` only while another thread journals a page.
    session: Option<IngestSession>,
    times: Option<TimeReader>,
    state: AccountState,
    base: PageBase,
    /// How the records so far were classified.
    pub(crate) counts: PageCounts,
    /// Records that could not be read at all.
    pub(crate) unreadable: u64,
}

/// How reading one day ended.
enum DayEnd {
    /// The whole day was read.
    Complete,
    /// A cap was reached.
    Capped(Error),
}

impl CallsReader {
    /// The time up to which the account has been read, and its page base.
    pub(crate) async fn state(&self) -> Result<AccountState, PollError> {
        let journal = self.context.app.journal.clone();
        let account = Arc::clone(&self.context.account);
        Ok(blocking(move || journal.account_state(&account)).await??)
    }

    /// Begins to read days. Calls within `range`, in UTC microseconds, are recognized as known.
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
        let session = blocking(move || journal.ingest_session(&account, options)).await??;
        let state = session.state();
        Ok(PollRun {
            base: match (self.config.page_base, state.page_base) {
                (Some(0), _) | (None, Some(0)) => PageBase::Zero,
                (Some(_), _) | (None, Some(1)) => PageBase::One,
                (None, _) => PageBase::Unknown,
            },
            state,
            session: Some(session),
            times: Some(TimeReader::new(self.zone.clone())),
            counts: PageCounts::default(),
            unreadable: 0,
        })
    }

    /// Reads the days in order, and moves the watermark as long as nothing was left out. Describes
    /// the first cap that is reached in `capped`.
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

    /// Reads one day for a backfill. Returns a description of the cap that was reached.
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
                    self.record_page(run, page, day).await?;
                    if !self.pause.is_zero() {
                        let pause = tokio::time::sleep(self.pause);
                        stop.unless_stopped(pause).await.ok_or(PollError::Stopped)?;
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
        // The client skips records that it has already returned.
        run.counts.repeated += pages.summary().repeated;
        Ok(DayEnd::Complete)
    }

    /// Journals and counts a page on a thread for blocking work.
    async fn record_page(
        &self,
        run: &mut PollRun,
        page: CallsPage,
        day: Day,
    ) -> Result<(), PollError> {
        let (Some(mut session), Some(mut times)) = (run.session.take(), run.times.take()) else {
            return Err(PollError::Internal("a page was interrupted".to_owned()));
        };
        let context = self.context.clone();
        let window = span(&[day]);
        let observed_at = Timestamp::now().as_microsecond();
        let (result, session, times) = blocking(move || {
            let result = commit_page(
                &context,
                &mut session,
                &mut times,
                &page,
                window,
                observed_at,
            );
            (result, session, times)
        })
        .await?;
        run.session = Some(session);
        run.times = Some(times);
        let PageResult { counts, unreadable } = result?;
        run.counts += counts;
        run.unreadable += unreadable;
        Ok(())
    }

    /// Stores the watermark and the page base if they have changed.
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
        let Some(mut session) = run.session.take() else {
            return Err(PollError::Internal("a page was interrupted".to_owned()));
        };
        let (stored, session) = blocking(move || {
            let stored = session
                .page(0..0, read_to)
                .and_then(|page| page.commit(Some(state)));
            (stored, session)
        })
        .await?;
        run.session = Some(session);
        stored?;
        run.state = state;
        Ok(())
    }
}

/// The result of one page.
struct PageResult {
    counts: PageCounts,
    unreadable: u64,
}

/// Commits a page and counts its new calls at once, so that nothing comes between the two.
fn commit_page(
    context: &AccountContext,
    session: &mut IngestSession,
    times: &mut TimeReader,
    page: &CallsPage,
    window: Range<i64>,
    observed_at: i64,
) -> Result<PageResult, PollError> {
    let mut pending = session.page(window, observed_at)?;
    pending.expect_ids(page.calls().filter_map(|row| row.ok()?.id()));
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
    let accounts = app.status.accounts();
    accounts.records_unreadable(&context.account, Task::Calls, unreadable);
    Ok(PageResult {
        counts: committed.counts,
        unreadable,
    })
}
