//! Calls, polls and journals for tests.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use callmeter_journal::{
    BatchSeq, Classification, Committed, IngestSession, Journal, JournalError, Options,
    PollOptions, PostgresJournal, Purpose, Reader, StoredBatch,
};
use callmeter_records::{Call, CallsView, Reading};
use tempfile::TempDir;

use crate::proxy::Proxy;
use crate::server;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// 2026-08-06T12:00:00Z.
pub(crate) const NOON: i64 = 1_786_017_600 * SECOND;

/// Where a journal is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    File,
    Server,
}

thread_local! {
    /// The engine of the test that runs in this thread.
    static ENGINE: Cell<Engine> = const { Cell::new(Engine::File) };
}

/// Runs a test with its journals on an engine.
pub(crate) fn on<T>(engine: Engine, test: impl FnOnce() -> T) -> T {
    ENGINE.set(engine);
    let done = test();
    ENGINE.set(Engine::File);
    done
}

/// Makes two tests of each function: with journals in files, and on a server.
macro_rules! on_both_engines {
    ($($test:ident)*) => {
        mod in_files {
            $(#[test]
            fn $test() {
                crate::support::on(crate::support::Engine::File, super::$test);
            })*
        }
        mod on_a_server {
            $(#[test]
            fn $test() {
                crate::support::on(crate::support::Engine::Server, super::$test);
            })*
        }
    };
}

pub(crate) use on_both_engines;

/// A place for a journal: a directory, in memory where the system has such a place, or a schema on
/// a server. Tests make tens of thousands of commits.
pub(crate) enum Place {
    Files(TempDir),
    Schema(PostgresJournal),
}

impl Place {
    pub(crate) fn new() -> Self {
        match ENGINE.get() {
            Engine::File => Self::Files(
                TempDir::new_in("/dev/shm")
                    .or_else(|_| TempDir::new())
                    .unwrap(),
            ),
            Engine::Server => {
                static NUMBER: AtomicU32 = AtomicU32::new(0);
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                let schema = format!("test_{}_{number}", std::process::id());
                Self::Schema(server_journal(&schema))
            }
        }
    }

    /// The journal's file.
    pub(crate) fn path(&self) -> PathBuf {
        match self {
            Self::Files(directory) => directory.path().join("journal.db"),
            Self::Schema(_) => panic!("a journal on a server has no file"),
        }
    }

    pub(crate) fn open(&self) -> Journal {
        self.try_open().unwrap()
    }

    pub(crate) fn try_open(&self) -> Result<Journal, JournalError> {
        match self {
            Self::Files(_) => Journal::open(self.path(), &Options::default()),
            Self::Schema(journal) => Journal::connect(journal),
        }
    }

    /// The same journal on a server, through a proxy.
    pub(crate) fn behind(&self, proxy: &Proxy) -> PostgresJournal {
        let Self::Schema(journal) = self else {
            panic!("a journal in a file has no server");
        };
        PostgresJournal {
            url: format!("postgres://callmeter@127.0.0.1:{}/postgres", proxy.port),
            ..journal.clone()
        }
    }

    pub(crate) fn reader(&self) -> Reader {
        match self {
            Self::Files(_) => Reader::open(self.path()),
            Self::Schema(journal) => Reader::connect(journal),
        }
        .unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Schema(journal) = self {
            let mut client = admin();
            let schema = &journal.schema;
            let drop =
                format!("SET client_min_messages = error; DROP SCHEMA IF EXISTS {schema} CASCADE");
            client.batch_execute(&drop).unwrap();
        }
    }
}

/// A journal in a schema on the server of the tests.
pub(crate) fn server_journal(schema: &str) -> PostgresJournal {
    let port = server::shared().port;
    PostgresJournal {
        schema: schema.to_owned(),
        ..PostgresJournal::new(format!("postgres://callmeter@127.0.0.1:{port}/postgres"))
    }
}

/// A connection with all rights.
pub(crate) fn admin() -> postgres::Client {
    let port = server::shared().port;
    let url = format!("postgres://callmeter@127.0.0.1:{port}/postgres");
    postgres::Client::connect(&url, postgres::NoTls).unwrap()
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
