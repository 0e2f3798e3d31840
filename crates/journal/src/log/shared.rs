//! The log as its users share it: one writer, several read connections, and the newest batches.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use callmeter_records::{BatchSeq, Stream};

use crate::error::Result;
use crate::location::Location;
use crate::log::accounts::AccountRow;
use crate::log::append::Append;
use crate::log::reader::Reader;
use crate::log::tail::{Next, Tail};
use crate::log::writer::Writer;
use crate::sqlite::lock::Lock;
use crate::stored_batch::StoredBatch;

/// Read connections that are kept open.
const READERS: usize = 8;

/// The log of a journal that this process has locked. Clones share it.
#[derive(Clone)]
pub(crate) struct SharedLog(Arc<Inner>);

struct Inner {
    path: PathBuf,
    location: Location,
    // Fields are dropped in order: all connections are closed before the lock is released.
    readers: Mutex<Vec<Reader>>,
    writer: Mutex<Writer>,
    tail: Mutex<Tail>,
    head: Mutex<BatchSeq>,
    appended: Condvar,
    _lock: Lock,
}

impl SharedLog {
    pub(crate) fn open(path: &Path, page_limit: Option<u32>) -> Result<Self> {
        let lock = Lock::acquire(path)?;
        let writer = Writer::open(path, page_limit)?;
        let head = writer.head();
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            location: writer.conn.location().clone(),
            readers: Mutex::default(),
            writer: Mutex::new(writer),
            tail: Mutex::default(),
            head: Mutex::new(head),
            appended: Condvar::new(),
            _lock: lock,
        })))
    }

    /// Where the journal is.
    pub(crate) fn location(&self) -> &Location {
        &self.0.location
    }

    /// The last committed batch; [`BatchSeq::START`] before the first.
    pub(crate) fn head(&self) -> BatchSeq {
        *relock(&self.0.head)
    }

    /// Waits for a batch after `after`, but not longer than `timeout`. Returns the last batch.
    pub(crate) fn wait_beyond(&self, after: BatchSeq, timeout: Duration) -> BatchSeq {
        let deadline = Instant::now() + timeout;
        let mut head = relock(&self.0.head);
        while *head <= after {
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
        let mut published = relock(&self.0.head);
        *published = head.max(*published);
        self.0.appended.notify_all();
        Ok(appended)
    }

    /// See [`Reader::next_batch`]. The newest batches come from memory.
    pub(crate) fn next_batch(
        &self,
        stream: Stream,
        after: BatchSeq,
    ) -> Result<Option<StoredBatch>> {
        if after >= self.head() {
            return Ok(None);
        }
        let next = relock(&self.0.tail).next(stream, after);
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
            Some(reader) => reader,
            None => Reader::open(&self.0.path)?,
        };
        // After an error the connection is closed: its state is unknown.
        let done = read(&mut reader)?;
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

/// Locks a mutex that a panic may have poisoned: no panic leaves the values here half changed.
fn relock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
