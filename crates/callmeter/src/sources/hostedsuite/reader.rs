//! Reads days of calls into journal and meter. Each page is journaled and counted before the next
//! is requested.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use api_client::ErrorKind;
use callmeter_journal::{AccountState, IngestSession, PageCounts, PollOptions, Purpose};
use callmeter_records::{Stream, TimeReader};
use hostedsuite_client::{CallsPage, CallsQuery, Caps, Client, Ending, Error, FirstPage, Position};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::convert::CallConverter;
use super::days::{Day, span, with_margin};
use crate::config::Calls;
use crate::sources::blocking::blocking;
use crate::sources::error::PollError;
use crate::sources::poll::AccountContext;
use crate::status::Task;

/// Reads days of an account's calls.
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
    pub(super) state: AccountState,
    first_page: FirstPage,
    /// The start times of the calls that are accepted, whichever day's pages return them.
    window: Range<i64>,
    /// How the records so far were classified.
    pub(crate) counts: PageCounts,
    /// Records that could not be read at all.
    pub(crate) unreadable: u64,
    /// Pages with mostly calls of days that were not requested.
    pub(super) unfiltered_pages: u64,
}

/// A range of days to request in one walk.
pub(super) struct Request {
    pub(super) query: CallsQuery,
    /// The start times that it requests.
    pub(super) asked: Range<i64>,
}

impl Request {
    pub(super) fn day(day: Day) -> Self {
        Self {
            query: CallsQuery::on(day.date),
            asked: span(&[day]),
        }
    }

    /// Today and the day after, in case that the server's clock is ahead of ours.
    pub(super) fn today(day: Day) -> Self {
        let last = day.date.tomorrow().unwrap_or(day.date);
        Self {
            query: CallsQuery::days(day.date, last),
            asked: span(&[day]),
        }
    }
}

/// How a walk ended that did not fail.
pub(super) enum Walked {
    /// Everything was read, and that is proven.
    Complete,
    /// A cap was reached.
    Interrupted {
        cap: Error,
        position: Option<Position>,
    },
}

impl CallsReader {
    /// The time up to which the account has been read, and its first page.
    pub(crate) async fn state(&self) -> Result<AccountState, PollError> {
        let journal = self.context.app.journal.clone();
        let account = Arc::clone(&self.context.account);
        Ok(blocking(move || journal.account_state(&account)).await??)
    }

    /// Begins to read days within `range`, in UTC microseconds. Calls that start within a day of it
    /// are accepted, too: the server may filter by another time zone than the one that it writes.
    pub(crate) async fn begin(
        &self,
        purpose: Purpose,
        range: Range<i64>,
    ) -> Result<PollRun, PollError> {
        let window = with_margin(&range);
        let options = PollOptions {
            purpose,
            range: window.clone(),
            settle: self.config.settle,
        };
        let journal = self.context.app.journal.clone();
        let account = Arc::clone(&self.context.account);
        let session = blocking(move || journal.ingest_session(&account, options)).await??;
        let state = session.state();
        Ok(PollRun {
            first_page: match (self.config.page_base, state.page_base) {
                (Some(number), _) => FirstPage::Fixed(number),
                (None, Some(0)) => FirstPage::Zero,
                (None, Some(1)) => FirstPage::One,
                (None, _) => FirstPage::Unknown,
            },
            state,
            window,
            session: Some(session),
            times: Some(TimeReader::new(self.zone.clone())),
            counts: PageCounts::default(),
            unreadable: 0,
            unfiltered_pages: 0,
        })
    }

    /// Reads the pages of a request, for at most `limit`.
    ///
    /// # Errors
    /// If a request fails, the pages fall short of what the server counts, or the journal does not
    /// accept them. Pages read before are journaled.
    pub(super) async fn read(
        &self,
        run: &mut PollRun,
        request: Request,
        position: Option<Position>,
        limit: Duration,
    ) -> Result<Walked, PollError> {
        let Request { query, asked } = request;
        let query = query
            .page_size(self.config.page_size)
            .first_page(run.first_page)
            .caps(Caps {
                pages: self.config.max_pages.into(),
                rows: self.config.max_rows,
                time: limit,
                ..Caps::default()
            });
        let pages = self.client.calls(&query);
        let mut pages = match position {
            Some(position) => pages.resume(position),
            None => pages,
        };
        let mut stop = self.context.stop.clone();
        let mut failed = None;
        while let Some(page) = stop
            .unless_stopped(Box::pin(pages.next()))
            .await
            .ok_or(PollError::Stopped)?
        {
            match page {
                Ok(page) => {
                    self.record_page(run, page, &asked).await?;
                    if !self.pause.is_zero() {
                        let pause = tokio::time::sleep(self.pause);
                        stop.unless_stopped(pause).await.ok_or(PollError::Stopped)?;
                    }
                }
                Err(error) => failed = Some(error),
            }
        }
        run.first_page = pages.first_page();
        match (failed, pages.ending()) {
            (Some(cap), _) if cap.kind() == ErrorKind::Truncated => Ok(Walked::Interrupted {
                cap,
                position: pages.position(),
            }),
            (Some(error), _) => Err(error.into()),
            (None, Some(Ending::Complete)) => Ok(Walked::Complete),
            (None, Some(Ending::Incomplete(shortfall))) => Err(shortfall.into()),
            (None, Some(Ending::Refused) | None) => Err(PollError::Internal(
                "a walk ended without a reason".to_owned(),
            )),
        }
    }

    /// Journals and counts a page on a thread for blocking work.
    async fn record_page(
        &self,
        run: &mut PollRun,
        page: CallsPage,
        asked: &Range<i64>,
    ) -> Result<(), PollError> {
        let (Some(mut session), Some(mut times)) = (run.session.take(), run.times.take()) else {
            return Err(PollError::Internal("a page was interrupted".to_owned()));
        };
        let context = self.context.clone();
        let window = run.window.clone();
        let expected = with_margin(asked);
        let (result, session, times) = blocking(move || {
            let result = commit_page(&context, &mut session, &mut times, &page, window, &expected);
            (result, session, times)
        })
        .await?;
        run.session = Some(session);
        run.times = Some(times);
        let PageResult {
            counts,
            unreadable,
            unexpected,
        } = result?;
        run.counts += counts;
        run.unreadable += unreadable;
        run.unfiltered_pages += u64::from(unexpected * 2 > counts.total());
        Ok(())
    }

    /// Stores the watermark and the number of the first page if they have changed. The watermark
    /// never moves back.
    pub(super) async fn store_state(
        &self,
        run: &mut PollRun,
        proven_until: Option<i64>,
    ) -> Result<(), PollError> {
        let state = AccountState {
            watermark: run.state.watermark.max(proven_until),
            page_base: match run.first_page {
                FirstPage::Zero => Some(0),
                FirstPage::One => Some(1),
                FirstPage::Unknown => None,
                FirstPage::Fixed(_) => run.state.page_base,
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
                .page(0..0, 0)
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
    /// Calls that start outside the times that were expected.
    unexpected: u64,
}

/// Commits a page and counts its new calls at once, so that nothing comes between the two.
fn commit_page(
    context: &AccountContext,
    session: &mut IngestSession,
    times: &mut TimeReader,
    page: &CallsPage,
    window: Range<i64>,
    expected: &Range<i64>,
) -> Result<PageResult, PollError> {
    let mut pending = session.page(window, Timestamp::now().as_microsecond())?;
    pending.expect_ids(page.calls().filter_map(|row| row.ok()?.id()));
    let mut converter = CallConverter::new(times);
    let mut unreadable = 0;
    let mut unexpected = 0;
    for row in page.calls() {
        match row {
            Ok(row) => {
                converter.convert(row, |call| {
                    let start = call.start_time.known();
                    unexpected += u64::from(start.is_some_and(|start| !expected.contains(&start)));
                    pending.add(call)
                })?;
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
        unexpected,
    })
}
