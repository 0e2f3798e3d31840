//! The handle: who holds the journal, and hands it to polls, outputs and the meter.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use callmeter_records::Stream;

use crate::account::AccountRow;
use crate::classification::PollOptions;
use crate::error::Result;
use crate::ingest::IngestSession;
use crate::lock::Lock;
use crate::memory::SharedMemory;
use crate::reader::{Filter, Reader};
use crate::tail::{Next, Tail};
use crate::writer::{Append, Writer};
use crate::{AccountState, Backlog, BatchMeta, BatchSeq, Cursor, Stats, StoredBatch};

/// Read connections that are kept open.
const READERS: usize = 8;

/// How to open a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The file never grows beyond this many pages of 4 KiB: an append that would is refused with
    /// [`JournalError::Full`](crate::JournalError::Full), as on a full disk. `None`: no limit.
    pub page_limit: Option<u32>,
}

/// A journal that this process holds. Cheap to clone; the clones share it, and the last one gives it back.
///
/// Appends go one after the other; readers have connections of their own, see whole batches only, and wait for nobody.
/// All methods may block on the disk: call them where that is allowed.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    path: PathBuf,
    // Readers and writer are dropped, and with them their file handles closed, before the lock is given back.
    readers: Mutex<Vec<Reader>>,
    writer: Mutex<Writer>,
    accounts: Mutex<HashMap<String, Arc<SharedMemory>>>,
    tail: Mutex<Tail>,
    head: Mutex<BatchSeq>,
    appended: Condvar,
    _lock: Lock,
}

impl Journal {
    /// Opens the journal at `path`, or makes a new one there, and holds it: a second process is refused.
    ///
    /// What a crash left half done is undone here: the journal is as of its last commit.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self> {
        let path = path.as_ref();
        let lock = Lock::take(path)?;
        let writer = Writer::open(path, options.page_limit)?;
        let head = writer.head();
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            readers: Mutex::default(),
            writer: Mutex::new(writer),
            accounts: Mutex::default(),
            tail: Mutex::default(),
            head: Mutex::new(head),
            appended: Condvar::new(),
            _lock: lock,
        })))
    }

    /// The journal's file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The last batch that was committed; [`BatchSeq::START`] before the first.
    pub fn head(&self) -> BatchSeq {
        *relock(&self.0.head)
    }

    /// Waits until there is a batch after `after`, at the longest for `timeout`. Gives the last batch there is.
    pub fn wait_beyond(&self, after: BatchSeq, timeout: Duration) -> BatchSeq {
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

    /// How far an account has been read; all unknown for a new one.
    pub fn account_state(&self, account: &str) -> Result<AccountState> {
        Ok(self.memory(account)?.lock().row.state)
    }

    /// Stores how far an account has been read, without records: as the last step of a poll whose pages were all
    /// committed. Durable when it returns.
    pub fn set_account_state(&self, account: &str, state: AccountState) -> Result<()> {
        let memory = self.memory(account)?;
        let mut memory = memory.lock();
        if memory.row.state == state {
            return Ok(());
        }
        let (_, row) = self.append(Append {
            account: &memory.row,
            state: Some(state),
            horizon: None,
            observed_at: 0,
            batches: Vec::new(),
            latest: Vec::new(),
        })?;
        memory.row = row;
        Ok(())
    }

    /// Begins a poll of an account's calls. Loads the ids that its range asks for, if they are not in memory.
    pub fn ingest_session(&self, account: &str, options: PollOptions) -> Result<IngestSession> {
        IngestSession::begin(self.clone(), account, options)
    }

    /// How many calls of an account are known in memory, and the bytes that they take.
    pub fn known_ids(&self, account: &str) -> Result<(usize, usize)> {
        Ok(self.memory(account)?.lock().size())
    }

    /// See [`Reader::next_batch`]. The newest batches are handed out as they were appended, without reading them again.
    pub fn next_batch(&self, stream: Stream, after: BatchSeq) -> Result<Option<StoredBatch>> {
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

    /// See [`Reader::next_of_any`].
    pub fn next_of_any(&self, after: BatchSeq) -> Result<Option<StoredBatch>> {
        self.with_reader(|reader| reader.next_of_any(after))
    }

    /// See [`Reader::next_matching`].
    pub fn next_matching(&self, filter: &Filter, after: BatchSeq) -> Result<Option<StoredBatch>> {
        self.with_reader(|reader| reader.next_matching(filter, after))
    }

    /// See [`Reader::next_meta`].
    pub fn next_meta(&self, stream: Stream, after: BatchSeq) -> Result<Option<BatchMeta>> {
        self.with_reader(|reader| reader.next_meta(stream, after))
    }

    /// See [`Reader::batch`].
    pub fn batch(&self, seq: BatchSeq) -> Result<Option<StoredBatch>> {
        if let Some(batch) = relock(&self.0.tail).get(seq) {
            return Ok(Some(batch));
        }
        self.with_reader(|reader| reader.batch(seq))
    }

    /// See [`Reader::cursors`].
    pub fn cursors(&self) -> Result<Vec<Cursor>> {
        self.with_reader(|reader| reader.cursors())
    }

    /// See [`Reader::cursor`].
    pub fn cursor(&self, output: &str, stream: Stream) -> Result<Option<Cursor>> {
        self.with_reader(|reader| reader.cursor(output, stream))
    }

    /// See [`Reader::backlog`].
    pub fn backlog(&self, output: &str, stream: Stream) -> Result<Backlog> {
        self.with_reader(|reader| reader.backlog(output, stream))
    }

    /// See [`Reader::latest_snapshot`].
    pub fn latest_snapshot(&self) -> Result<Option<(BatchSeq, Vec<u8>)>> {
        self.with_reader(|reader| reader.latest_snapshot())
    }

    /// See [`Reader::stats`].
    pub fn stats(&self) -> Result<Stats> {
        self.with_reader(|reader| reader.stats())
    }

    /// Moves the write-ahead log into the database file, as far as no reader is in the way. Happens by itself; worth
    /// calling before the process ends.
    pub fn checkpoint(&self) -> Result<()> {
        self.writer().checkpoint()
    }

    /// Runs `read` on a read connection.
    pub(crate) fn with_reader<T>(&self, read: impl FnOnce(&mut Reader) -> Result<T>) -> Result<T> {
        let idle = relock(&self.0.readers).pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => Reader::open(&self.0.path)?,
        };
        // After an error the connection is dropped rather than trusted.
        let done = read(&mut reader)?;
        let mut readers = relock(&self.0.readers);
        if readers.len() < READERS {
            readers.push(reader);
        }
        Ok(done)
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        // A panic in mid-transaction rolled it back.
        relock(&self.0.writer)
    }

    /// Appends, then wakes who waits for batches.
    pub(crate) fn append(&self, append: Append<'_>) -> Result<(Vec<StoredBatch>, AccountRow)> {
        let mut writer = self.writer();
        let appended = writer.append(append)?;
        let head = writer.head();
        // As long as nobody else can append: batches come to the tail in order.
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

    /// Drops what is kept of the newest batches: retention may have dropped them.
    pub(crate) fn clear_tail(&self) {
        relock(&self.0.tail).clear();
    }

    pub(crate) fn memory(&self, account: &str) -> Result<Arc<SharedMemory>> {
        let mut accounts = relock(&self.0.accounts);
        if let Some(memory) = accounts.get(account) {
            return Ok(Arc::clone(memory));
        }
        let memory = Arc::new(SharedMemory::new(self.writer().account(account)?));
        accounts.insert(account.to_owned(), Arc::clone(&memory));
        Ok(memory)
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("path", &self.0.path)
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}

/// A lock whose holder may have panicked: none of those here is left half changed by that.
fn relock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
