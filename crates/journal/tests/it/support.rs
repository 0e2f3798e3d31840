//! Calls, polls and journals for tests.

use std::path::PathBuf;
use std::time::Duration;

use callmeter_journal::{
    BatchSeq, Classification, Committed, IngestSession, Journal, Options, PollOptions, Purpose,
    StoredBatch,
};
use callmeter_records::{Call, CallsView, Reading};
use tempfile::TempDir;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// 2026-08-06T12:00:00Z.
pub(crate) const NOON: i64 = 1_786_017_600 * SECOND;

/// A directory for a journal, in memory where the system has such a place: tests make tens of
/// thousands of commits.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new_in("/dev/shm")
            .or_else(|_| TempDir::new())
            .unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("journal.db")
    }

    pub(crate) fn open(&self) -> Journal {
        Journal::open(self.path(), &Options::default()).unwrap()
    }
}

/// A call that ended long before [`NOON`].
pub(crate) fn call(id: &str) -> Call<'_> {
    Call {
        id: Some(id),
        client_id: Some("c1"),
        client_name: Some("Meier & Söhne"),
        start_time: Reading::Known(NOON - HOUR),
        duration_ms: Reading::Known(61_000),
        talk_ms: Reading::Known(50_000),
        ring_ms: Reading::Known(4_250),
        call_type: Some("Incoming"),
        answered_by: Some("Anna"),
        ..Call::default()
    }
}

/// A regular poll at `now` that looks a day back.
pub(crate) fn regular(now: i64) -> PollOptions {
    PollOptions {
        purpose: Purpose::Regular,
        range: now - DAY..now,
        settle: Duration::from_mins(2),
    }
}

pub(crate) fn poll(journal: &Journal, now: i64) -> IngestSession {
    journal.ingest_session("acme", regular(now)).unwrap()
}

/// Adds `calls` as one page of `poll`, for its whole range.
pub(crate) fn add_page(
    poll: &mut IngestSession,
    now: i64,
    calls: &[Call<'_>],
) -> (Vec<Classification>, Committed) {
    let mut page = poll.page(now - DAY..now, now).unwrap();
    let classifications = calls.iter().map(|call| page.add(call).unwrap()).collect();
    (classifications, page.commit(None).unwrap())
}

/// Polls one page of `calls` at `now`.
pub(crate) fn poll_page(
    journal: &Journal,
    now: i64,
    calls: &[Call<'_>],
) -> (Vec<Classification>, Committed) {
    add_page(&mut poll(journal, now), now, calls)
}

/// Every batch, in order.
pub(crate) fn all_batches(journal: &Journal) -> Vec<StoredBatch> {
    let mut batches = Vec::new();
    let mut after = BatchSeq::START;
    while let Some(batch) = journal.next_of_any(after).unwrap() {
        after = batch.meta.seq;
        batches.push(batch);
    }
    batches
}

/// `id revision talk previous-talk` of every journaled call.
pub(crate) fn call_lines(journal: &Journal) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in all_batches(journal) {
        for row in CallsView::new(&batch.records).unwrap().rows() {
            lines.push(format!(
                "{} {} r{} {:?} talk {:?}{}",
                row.sequence(),
                row.id().unwrap_or("-"),
                row.revision(),
                row.change().unwrap(),
                row.durations()[3],
                row.previous().map_or(String::new(), |previous| format!(
                    " was {:?}",
                    previous.durations[3]
                )),
            ));
        }
    }
    lines
}

pub(crate) const NEW: Classification = Classification::New {
    late: false,
    unnamed: false,
};
