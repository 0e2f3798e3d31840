//! Puts pages of calls into journal and meter. Each page is journaled and counted before the next
//! one is requested.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use callmeter_journal::{
    AccountState, Classification, CoverageChange, DayCoverage, IngestSession, PageCounts,
    PageIngest, PollOptions, Purpose,
};
use callmeter_records::{Call, Stream, TimeReader, id_hash};
use hostedsuite_client::{CallRow, CallsPage, Client, RowError};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::clocks::WallClock;
use super::convert::CallConverter;
use super::days::with_margin;
use super::known_texts::{KnownCall, KnownTexts, Texts};
use super::tail::{TailRow, Waiting};
use crate::config::Calls;
use crate::sources::blocking::blocking;
use crate::sources::error::PollError;
use crate::sources::poll::AccountContext;
use crate::status::Task;

/// What the readings of an account's calls share.
#[derive(Clone)]
pub(crate) struct CallsReader {
    pub(in crate::sources) context: AccountContext,
    pub(in crate::sources) connection: Connection,
    pub(in crate::sources) config: Calls,
    pub(in crate::sources) zone: TimeZone,
    pub(in crate::sources) clock: WallClock,
}

/// A client, and what it shares with the readings of calls.
#[derive(Debug, Clone)]
pub(in crate::sources) struct Connection {
    pub(in crate::sources) client: Client,
    /// Requests that the client sent again since somebody last asked.
    pub(in crate::sources) retries: Retries,
    /// The calls that the client does not read again.
    pub(in crate::sources) texts: KnownTexts,
}

/// What happened inside the client: requests that were sent again, and whether the server asked for
/// fewer.
#[derive(Debug, Clone, Default)]
pub(in crate::sources) struct Retries(Arc<(AtomicU32, AtomicBool)>);

impl Retries {
    pub(in crate::sources) fn add(&self, retries: u32, throttled: bool) {
        self.0.0.fetch_add(retries, Ordering::Relaxed);
        self.0.1.fetch_or(throttled, Ordering::Relaxed);
    }

    pub(super) fn take(&self) -> u32 {
        self.0.0.swap(0, Ordering::Relaxed)
    }

    pub(super) fn take_throttled(&self) -> bool {
        self.0.1.swap(false, Ordering::Relaxed)
    }
}

/// A session that pages are put into.
pub(super) struct Intake {
    /// `None` only while another thread journals a page.
    session: Option<IngestSession>,
    times: Option<TimeReader>,
    /// What the session was opened for.
    pub(super) purpose: Purpose,
    pub(super) range: Range<i64>,
}

/// Calls that last longer are implausible.
const DAY_MS: i64 = 86_400_000;

/// A page, and what is expected of it.
pub(super) struct Received {
    pub(super) page: CallsPage,
    /// The start times that were requested.
    pub(super) asked: Range<i64>,
    /// The start times of the calls that are accepted, whichever request returns them.
    pub(super) accepted: Range<i64>,
    /// When it was received.
    pub(super) at: Timestamp,
}

/// What became of a page.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) counts: PageCounts,
    pub(super) unreadable: u64,
    /// Where the first of these rows is, and what is wrong with it.
    pub(super) first_unreadable: Option<String>,
    /// Calls that start far outside the requested times.
    pub(super) unexpected: u64,
    /// Calls that start outside the requested times, but within a day of them.
    pub(super) shifted: u64,
    /// The rows that could be read, in the server's order.
    pub(super) rows: Vec<TailRow>,
    /// New calls that say they lasted longer than a day.
    pub(super) implausible: u64,
    /// New calls that have settled, by the time at which they did.
    pub(super) new: Vec<Waiting>,
    /// The texts of the calls that the journal has once the page is committed.
    appended: Vec<(u64, KnownCall)>,
}

impl CallsReader {
    /// The time up to which the account has been read, its first page, and its days.
    pub(super) async fn stored(&self) -> Result<(AccountState, Vec<DayCoverage>), PollError> {
        let journal = self.context.app.journal.clone();
        let account = Arc::clone(&self.context.account);
        blocking(move || {
            Ok((
                journal.account_state(&account)?,
                journal.coverage(&account)?,
            ))
        })
        .await?
    }

    /// Stores how far the account has been read.
    pub(super) async fn store(
        &self,
        state: AccountState,
        coverage: CoverageChange,
    ) -> Result<(), PollError> {
        let journal = self.context.app.journal.clone();
        let account = Arc::clone(&self.context.account);
        blocking(move || journal.set_account_state(&account, state, coverage)).await??;
        Ok(())
    }

    /// Begins a session that knows the calls of `range`, in UTC microseconds.
    pub(super) async fn begin(
        &self,
        purpose: Purpose,
        range: Range<i64>,
    ) -> Result<Intake, PollError> {
        let options = PollOptions {
            purpose,
            range: range.clone(),
            settle: self.config.settle,
        };
        let journal = self.context.app.journal.clone();
        let account = Arc::clone(&self.context.account);
        let session = match journal.ingest_session_in_memory(&account, options.clone()) {
            Some(session) => session,
            None => blocking(move || journal.ingest_session(&account, options)).await??,
        };
        Ok(Intake {
            session: Some(session),
            times: Some(TimeReader::new(self.zone.clone())),
            purpose,
            range,
        })
    }

    /// Journals and counts a page, on a thread for blocking work unless all of it is known.
    pub(super) async fn take(
        &self,
        intake: &mut Intake,
        received: Received,
    ) -> Result<Taken, PollError> {
        let session = intake.session.as_mut();
        if let Some(known) = session.and_then(|session| take_known(self, session, &received)) {
            return known;
        }
        let (Some(mut session), Some(mut times)) = (intake.session.take(), intake.times.take())
        else {
            return Err(PollError::Internal("a page was interrupted".to_owned()));
        };
        let (reader, purpose) = (self.clone(), intake.purpose);
        let (result, session, times) = blocking(move || {
            let result = commit_page(&reader, &mut session, &mut times, (purpose, &received));
            (result, session, times)
        })
        .await?;
        intake.session = Some(session);
        intake.times = Some(times);
        result
    }
}

/// Takes a page whose rows are all known: that stores nothing, and is done sooner than another
/// thread begins. `None` if it may have to wait for the disk.
fn take_known(
    reader: &CallsReader,
    session: &mut IngestSession,
    received: &Received,
) -> Option<Result<Taken, PollError>> {
    let Received { page, accepted, .. } = received;
    if !page.is_known() {
        return None;
    }
    let mut pending = session.page_in_memory(accepted.clone(), received.at.as_microsecond())?;
    let mut taken = Taken::default();
    taken.rows.reserve_exact(page.len());
    let mut texts = reader.connection.texts.lock();
    for row in page.rows() {
        let CallRow::Known(id) = row else {
            return None;
        };
        if !taken.add_known(&mut pending, texts.get(id), received) {
            return None;
        }
    }
    drop(texts);
    let committed = pending.commit(None).map_err(PollError::from);
    Some(committed.map(|committed| Taken {
        counts: committed.counts,
        ..taken
    }))
}

/// Commits a page and counts its new calls at once, so that nothing comes between the two.
fn commit_page(
    reader: &CallsReader,
    session: &mut IngestSession,
    times: &mut TimeReader,
    (purpose, received): (Purpose, &Received),
) -> Result<Taken, PollError> {
    let context = &reader.context;
    let Received { page, accepted, .. } = received;
    let mut pending = session.page(accepted.clone(), received.at.as_microsecond())?;
    pending.expect_ids(page.calls().filter_map(|row| row.ok()?.id().map(str::trim)));
    let mut converter = CallConverter::new(times);
    let mut taken = Taken::with_room_for(page.len());
    let mut texts = reader.connection.texts.lock();
    for (index, row) in page.rows().enumerate() {
        match row {
            CallRow::Read(row) => {
                converter.convert(row, |call| taken.add(&mut pending, call, received))?;
                taken.note_text(&mut texts, page, index, purpose);
            }
            CallRow::Known(id) if taken.add_known(&mut pending, texts.get(id), received) => {}
            CallRow::Known(_) => {
                // The journal no longer knows it.
                let again = page.read_again(index).map_err(PollError::Internal)?;
                let mut converter = CallConverter::new(converter.times());
                for row in again.calls().flatten() {
                    converter.convert(row, |call| taken.add(&mut pending, call, received))?;
                    taken.forget_text(&mut texts);
                }
            }
            CallRow::Unreadable(error) => taken.add_unreadable(page.number(), &error),
        }
    }
    drop(texts);
    let app = &context.app;
    let timer = app.metrics.journal_append_duration.start_timer();
    let committed = pending.commit(None)?;
    if !taken.appended.is_empty() {
        let mut texts = reader.connection.texts.lock();
        for (row, call) in taken.appended.drain(..) {
            texts.add(row, call);
        }
    }
    if committed.batches.is_empty() {
        timer.stop_and_discard();
    } else {
        timer.observe_duration();
        app.count(Stream::Calls, &committed.batches)?;
    }
    let accounts = app.status.accounts();
    accounts.records_unreadable(&context.account, Task::Calls, taken.unreadable);
    taken.counts = committed.counts;
    Ok(taken)
}

impl Taken {
    /// Room for the rows of a page, so that nothing moves while it is read.
    fn with_room_for(rows: usize) -> Self {
        Self {
            rows: Vec::with_capacity(rows),
            new: Vec::with_capacity(rows),
            appended: Vec::with_capacity(rows),
            ..Self::default()
        }
    }

    fn add(
        &mut self,
        pending: &mut PageIngest<'_>,
        call: &Call<'_>,
        received: &Received,
    ) -> Result<(), PollError> {
        let classification = pending.add(call)?;
        let start = call.start_time.known();
        self.compare(start, received);
        let id = call.id().map_or(start.unwrap_or(0).unsigned_abs(), id_hash);
        let settles = || {
            let start = start?;
            Some(Waiting {
                id,
                start,
                until: pending.settled_at(call)?,
            })
        };
        let mut waiting = None;
        match classification {
            Classification::Unsettled => waiting = settles(),
            Classification::New { .. } => {
                let length = call.duration_ms.known();
                self.implausible += u64::from(length.is_some_and(|length| length > DAY_MS));
                self.new.extend(settles());
            }
            _ => {}
        }
        self.rows.push(TailRow {
            id,
            start,
            classification,
            waiting,
        });
        Ok(())
    }

    fn add_unreadable(&mut self, page: i64, error: &RowError) {
        self.unreadable += 1;
        self.first_unreadable.get_or_insert_with(|| {
            format!("row {} of page {page}: {}", error.index + 1, error.reason)
        });
    }

    /// Adds a call that is known by its text. False if the journal does not have it.
    fn add_known(
        &mut self,
        pending: &mut PageIngest<'_>,
        call: Option<KnownCall>,
        received: &Received,
    ) -> bool {
        let known = call.and_then(|call| Some((call, pending.add_known(call.id)?)));
        let Some((KnownCall { id, start, .. }, classification)) = known else {
            return false;
        };
        self.compare(start, received);
        self.rows.push(TailRow {
            id,
            start,
            classification,
            waiting: None,
        });
        true
    }

    /// Counts a call that starts at another time than was asked for.
    fn compare(&mut self, start: Option<i64>, received: &Received) {
        let Some(start) = start else {
            return;
        };
        let asked = &received.asked;
        let is_expected = with_margin(asked).contains(&start);
        self.unexpected += u64::from(!is_expected);
        // A server may include the end.
        let is_asked = asked.contains(&start) || start == asked.end;
        self.shifted += u64::from(is_expected && !is_asked);
    }

    /// Forgets the text of the call of the row that was added last.
    fn forget_text(&self, texts: &mut Texts) {
        if let Some(row) = self.rows.last() {
            texts.remove(row.id);
        }
    }

    /// Keeps the text of the row that was added last if the journal has these contents, or will
    /// have them; otherwise, forgets the text that its call had. Days before the look-back are
    /// read once, so the texts of their calls are not kept.
    fn note_text(&mut self, texts: &mut Texts, page: &CallsPage, index: usize, purpose: Purpose) {
        let Some(TailRow {
            id,
            start,
            classification,
            ..
        }) = self.rows.last().copied()
        else {
            return;
        };
        let is_appended = matches!(
            classification,
            Classification::New { .. } | Classification::Revised
        );
        // A tail knows the id only.
        let has_contents =
            matches!(classification, Classification::Known) && purpose != Purpose::Tail;
        // Whatever its text is: an id in another spelling or place is that of the call, too.
        self.forget_text(texts);
        if purpose == Purpose::Backfill || !(has_contents || is_appended) {
            return;
        }
        let Some((row, text)) = page.known_text(index) else {
            return;
        };
        let call = KnownCall { text, id, start };
        if has_contents {
            texts.add(row, call);
        } else {
            self.appended.push((row, call));
        }
    }

    /// The calls of the page that have not settled.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Waiting> {
        self.rows.iter().filter_map(|row| row.waiting)
    }
}
