//! The log as its users share it: one writer, several read connections, and the newest batches.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use callmeter_records::{BatchSeq, Stream};

use crate::database::connection::Connection;
use crate::ending::Ending;
use crate::error::{JournalError, Result};
use crate::leases::fence::Fence;
use crate::leases::held::Leases;
use crate::location::Location;
use crate::log::accounts::AccountRow;
use crate::log::append::Append;
use crate::log::follower::{self, News};
use crate::log::reader::Reader;
use crate::log::source::Source;
use crate::log::tail::{Next, Tail};
use crate::log::writer::Writer;
use crate::postgres::connection;
use crate::postgres::settings::PostgresJournal;
use crate::sqlite::lock::Lock;
use crate::stored_batch::StoredBatch;

/// Read connections that are kept open.
const READERS: usize = 8;

/// The log of a journal: a file that this process has locked, or a schema on a server, to which
/// others append, too. Clones share it.
#[derive(Clone)]
pub(crate) struct SharedLog(Arc<Inner>);

struct Inner {
    source: Source,
    location: Location,
    // Fields are dropped in order: all connections are closed before the lock is released.
    readers: Mutex<Vec<Reader>>,
    writer: Mutex<Writer>,
    tail: Mutex<Tail>,
    leases: Leases,
    head: Mutex<BatchSeq>,
    appended: Condvar,
    _lock: Option<Lock>,
}

impl SharedLog {
    pub(crate) fn open(path: &Path, page_limit: Option<u32>) -> Result<Self> {
        let lock = Lock::acquire(path)?;
        let path = path.to_owned();
        Self::start(Source::File { path, page_limit }, Some(lock))
    }

    pub(crate) fn connect(journal: &PostgresJournal) -> Result<Self> {
        let ending = Ending::default();
        let source = Source::Server(Box::new(journal.clone()), ending.clone());
        let log = Self::start(source, None)?;
        log.with_reader(|reader| {
            let mut writer = log.writer();
            connection::check_sessions(writer.conn()?, &reader.conn)
        })?;
        let inner = Arc::downgrade(&log.0);
        let publish = move |news: News| {
            let Some(inner) = inner.upgrade() else {
                return false;
            };
            match news {
                News::Nothing => {}
                News::Head(head) => inner.publish(head),
                News::Released => inner.leases.note_release(),
            }
            true
        };
        follower::start(journal.clone(), ending, publish).map_err(|source| JournalError::Io {
            journal: log.location().clone(),
            operation: "follow",
            source,
        })?;
        Ok(log)
    }

    fn start(source: Source, lock: Option<Lock>) -> Result<Self> {
        let writer = Writer::open(source.clone())?;
        let head = writer.head();
        Ok(Self(Arc::new(Inner {
            source,
            location: writer.location().clone(),
            readers: Mutex::default(),
            writer: Mutex::new(writer),
            tail: Mutex::default(),
            leases: Leases::default(),
            head: Mutex::new(head),
            appended: Condvar::new(),
            _lock: lock,
        })))
    }

    /// Where the journal is.
    pub(crate) fn location(&self) -> &Location {
        &self.0.location
    }

    /// Ends all waits for a server, for good. True if this is the first time.
    pub(crate) fn give_up(&self) -> bool {
        self.0.source.give_up()
    }

    /// The last committed batch; [`BatchSeq::START`] before the first.
    pub(crate) fn head(&self) -> BatchSeq {
        *relock(&self.0.head)
    }

    /// See [`Journal::wait_beyond`](crate::Journal::wait_beyond).
    pub(crate) fn wait_beyond(
        &self,
        after: BatchSeq,
        timeout: Duration,
        ends: impl Fn() -> bool,
    ) -> BatchSeq {
        let deadline = Instant::now() + timeout;
        let mut head = relock(&self.0.head);
        while *head <= after && !ends() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            head = self
                .0
                .appended
                .wait_timeout(head, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        *head
    }

    /// See [`Journal::wake`](crate::Journal::wake).
    pub(crate) fn wake(&self) {
        // Locked, so that nobody is between the look at `ends` and the wait.
        let _head = relock(&self.0.head);
        self.0.appended.notify_all();
    }

    /// What this process knows of its leases.
    pub(crate) fn leases(&self) -> &Leases {
        &self.0.leases
    }

    /// What a write checks that needs a lease. The process that has locked a file needs none.
    pub(crate) fn fence(&self, lease: impl FnOnce() -> String) -> Fence {
        match &self.0.source {
            Source::File { .. } => Fence::Open,
            Source::Server(..) => self.0.leases.fence(lease()),
        }
    }

    /// The connection in a place, or a new one if it is lost.
    pub(crate) fn connection<'c>(
        &self,
        place: &'c mut Option<Connection>,
    ) -> Result<&'c Connection> {
        match place.take() {
            Some(conn) if !conn.is_closed() => Ok(place.insert(conn)),
            _ => Ok(place.insert(self.0.source.writer_again()?)),
        }
    }

    /// Appends, then wakes the threads that wait for batches.
    pub(crate) fn append(&self, append: Append<'_>) -> Result<(Vec<StoredBatch>, AccountRow)> {
        let mut writer = self.writer();
        let appended = writer.append(append)?;
        let head = writer.head();
        // The writer is still locked, so that batches enter the tail in order.
        let mut tail = relock(&self.0.tail);
        for batch in &appended.0 {
            tail.push(batch.clone());
        }
        drop(tail);
        drop(writer);
        self.0.publish(head);
        Ok(appended)
    }

    /// See [`Reader::next_batch`]. The newest batches come from memory.
    pub(crate) fn next_batch(
        &self,
        stream: Stream,
        after: BatchSeq,
    ) -> Result<Option<StoredBatch>> {
        let head = self.head();
        if after >= head {
            return Ok(None);
        }
        let next = relock(&self.0.tail).next(stream, after, head);
        match next {
            Next::Batch(batch) => return Ok(Some(*batch)),
            Next::NotYet => return Ok(None),
            Next::Unknown => {}
        }
        self.with_reader(|reader| reader.next_batch(stream, after))
    }

    /// See [`Reader::batch`]. The newest batches come from memory.
    pub(crate) fn batch(&self, seq: BatchSeq) -> Result<Option<StoredBatch>> {
        if let Some(batch) = relock(&self.0.tail).get(seq) {
            return Ok(Some(batch));
        }
        self.with_reader(|reader| reader.batch(seq))
    }

    /// Removes the newest batches from memory: retention may delete them.
    pub(crate) fn clear_tail(&self) {
        relock(&self.0.tail).clear();
    }

    /// Runs `read` on a read connection.
    pub(crate) fn with_reader<T>(&self, read: impl FnOnce(&mut Reader) -> Result<T>) -> Result<T> {
        let idle = relock(&self.0.readers).pop();
        let mut reader = match idle {
            Some(reader) if !reader.conn.is_closed() => reader,
            _ => Reader::of(&self.0.source)?,
        };
        // After an error the connection is closed: its state is unknown.
        let done = read(&mut reader).inspect_err(|error| {
            if matches!(error, JournalError::Unreachable { .. }) {
                // The others were lost with it.
                relock(&self.0.readers).clear();
            }
        })?;
        let mut readers = relock(&self.0.readers);
        if readers.len() < READERS {
            readers.push(reader);
        }
        Ok(done)
    }

    /// The write connection. If another user panicked, its transaction was rolled back.
    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        relock(&self.0.writer)
    }
}

impl Inner {
    /// Wakes the threads that wait for batches.
    fn publish(&self, head: BatchSeq) {
        let mut published = relock(&self.head);
        if head > *published {
            *published = head;
            self.appended.notify_all();
        }
    }
}

/// Locks a mutex that a panic may have poisoned: no panic leaves the values here half changed.
fn relock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
