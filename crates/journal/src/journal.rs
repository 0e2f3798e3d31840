//! The handle of a journal: polls, outputs and the meter share it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use callmeter_records::{Balance, BatchSeq, Billing, Rate, Stream};

use crate::error::Result;
use crate::ingest::account_memory::AccountMemories;
use crate::ingest::change_streams::{self, Changes, DeckExtent};
use crate::ingest::options::PollOptions;
use crate::ingest::session::IngestSession;
use crate::ingest::watermark;
use crate::location::Location;
use crate::log::accounts::AccountState;
use crate::log::coverage::{self, CoverageChange, DayCoverage};
use crate::log::head;
use crate::log::reader::Filter;
use crate::log::shared::SharedLog;
use crate::postgres::settings::PostgresJournal;
use crate::stored_batch::{BatchMeta, StoredBatch};

/// How to open a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The most pages of 4 KiB that the file may have. An append beyond that fails with
    /// [`JournalError::Full`](crate::JournalError::Full), as on a full disk. `None`: no limit.
    pub page_limit: Option<u32>,
}

/// A journal that this process has locked. Clones share it; the last one releases the lock.
///
/// Appends run one after the other. Readers have their own connections, see whole batches only, and
/// do not wait for appends. All methods may block on the disk.
#[derive(Clone)]
pub struct Journal {
    pub(crate) log: SharedLog,
    pub(crate) memories: Arc<AccountMemories>,
}

impl Journal {
    /// Opens the journal at `path`, or creates it, and locks it against other processes.
    ///
    /// Rolls back what a crash left uncommitted.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<Self> {
        Ok(Self {
            log: SharedLog::open(path.as_ref(), options.page_limit)?,
            memories: Arc::default(),
        })
    }

    /// Connects to the journal on a server; creates its schema if it does not exist.
    ///
    /// Other processes may use it at the same time, each with its own accounts. Must not be called
    /// from a task of an asynchronous runtime, and neither must any method of this journal.
    pub fn connect(journal: &PostgresJournal) -> Result<Self> {
        Ok(Self {
            log: SharedLog::connect(journal)?,
            memories: Arc::default(),
        })
    }

    /// Where the journal is.
    pub fn location(&self) -> &Location {
        self.log.location()
    }

    /// Waits for the writes that have begun, then for the server to answer.
    pub fn ping(&self) -> Result<()> {
        self.log.writer().conn().map(drop)
    }

    /// Gives up a journal on a server that does not answer, when the program has to end: all that
    /// waits for the server, now or later, fails at once. What was in the middle of its commit is
    /// stored or not; the next start finds out. Does nothing to a file.
    pub fn give_up(&self) {
        if self.log.give_up() {
            tracing::warn!(
                journal = %self.location(),
                "the server of the journal does not answer; the program ends without it"
            );
        }
    }

    /// The last committed batch; [`BatchSeq::START`] before the first.
    pub fn head(&self) -> BatchSeq {
        self.log.head()
    }

    /// The `sequence` of the last record of a stream; 0 before the first.
    pub fn last_sequence(&self, stream: Stream) -> Result<i64> {
        match self.location() {
            Location::File(_) => Ok(self.log.writer().last_sequence(stream)),
            // Others append, too.
            Location::Server(_) => self
                .log
                .with_reader(|reader| Ok(head::read_stream(&reader.conn, stream)? - 1)),
        }
    }

    /// Bytes that the journal takes on the disk of its server; `None` if it is in a file.
    pub fn server_bytes(&self) -> Result<Option<u64>> {
        match self.location() {
            Location::File(_) => Ok(None),
            Location::Server(_) => self.log.with_reader(|reader| reader.server_bytes()),
        }
    }

    /// Waits for a batch after `after`, but not longer than `timeout`, and not after `ends` says
    /// true. Returns the last batch.
    pub fn wait_beyond(
        &self,
        after: BatchSeq,
        timeout: Duration,
        ends: impl Fn() -> bool,
    ) -> BatchSeq {
        self.log.wait_beyond(after, timeout, ends)
    }

    /// Lets those who wait for a batch look whether their wait ends.
    pub fn wake(&self) {
        self.log.wake();
    }

    /// How far an account has been read; nothing is known of a new one.
    pub fn account_state(&self, account: &str) -> Result<AccountState> {
        Ok(self.memories.get(&self.log, account)?.lock().row.state)
    }

    /// Stores how far an account has been read, without records: the last step of a reading whose
    /// pages are all committed. Durable when it returns.
    pub fn set_account_state(
        &self,
        account: &str,
        state: AccountState,
        coverage: CoverageChange,
    ) -> Result<()> {
        let memory = self.memories.get(&self.log, account)?;
        watermark::store_state(&self.log, &memory, state, coverage)
    }

    /// How far each day of an account has been read, oldest first. Days of which nothing more is
    /// expected have no entry.
    pub fn coverage(&self, account: &str) -> Result<Vec<DayCoverage>> {
        let id = self.memories.get(&self.log, account)?.lock().row.id;
        self.log
            .with_reader(|reader| coverage::read_all(&reader.conn, id))
    }

    /// Starts a poll of an account's calls. Loads the ids of its range if they are not in memory.
    pub fn ingest_session(&self, account: &str, options: PollOptions) -> Result<IngestSession> {
        let memory = self.memories.get(&self.log, account)?;
        IngestSession::begin(self.log.clone(), memory, options)
    }

    /// Like [`Journal::ingest_session`], but never waits: `None` if something has to be loaded, or
    /// a page of the account is open.
    pub fn ingest_session_in_memory(
        &self,
        account: &str,
        options: PollOptions,
    ) -> Option<IngestSession> {
        let memory = self.memories.get_in_memory(&self.log, account)?;
        IngestSession::begin_in_memory(self.log.clone(), memory, options)
    }

    /// How many calls of an account have their exact id in memory, and how many bytes they take.
    pub fn known_ids(&self, account: &str) -> Result<(usize, usize)> {
        Ok(self.memories.get(&self.log, account)?.lock().size())
    }

    /// How many older calls of an account are in the filter of old ids, and how many bytes it
    /// takes.
    pub fn old_ids(&self, account: &str) -> Result<(usize, usize)> {
        Ok(self.memories.get(&self.log, account)?.lock().old_size())
    }

    /// Appends the balances that changed, each identified by its client, its allowance and the
    /// start of its period.
    ///
    /// A new end of the period is not a change. `observed_at` is in UTC microseconds.
    pub fn record_balances(
        &self,
        account: &str,
        observed_at: i64,
        balances: &[Balance<'_>],
    ) -> Result<Changes> {
        let memory = self.memories.get(&self.log, account)?;
        change_streams::record_balances(&self.log, &memory, observed_at, balances)
    }

    /// Appends the rates that changed, each identified by its prefix. If `deck` is the whole rate
    /// deck, a known rate that is not in it is appended as removed. `observed_at` is in UTC
    /// microseconds.
    pub fn record_rates(
        &self,
        account: &str,
        observed_at: i64,
        deck: &[Rate<'_>],
        extent: DeckExtent,
    ) -> Result<Changes> {
        let memory = self.memories.get(&self.log, account)?;
        change_streams::record_rates(&self.log, &memory, observed_at, deck, extent)
    }

    /// How many known rates of an account are not in this deck.
    pub fn missing_rates(&self, account: &str, deck: &[Rate<'_>]) -> Result<u64> {
        let memory = self.memories.get(&self.log, account)?;
        change_streams::missing_rates(&self.log, &memory, deck)
    }

    /// Appends an account's billing settings and balance if they changed. `observed_at` is in UTC
    /// microseconds.
    pub fn record_billing(
        &self,
        account: &str,
        observed_at: i64,
        billing: &Billing<'_>,
    ) -> Result<Changes> {
        let memory = self.memories.get(&self.log, account)?;
        change_streams::record_billing(&self.log, &memory, observed_at, billing)
    }

    /// See [`Reader::next_batch`](crate::Reader::next_batch). The newest batches come from memory.
    pub fn next_batch(&self, stream: Stream, after: BatchSeq) -> Result<Option<StoredBatch>> {
        self.log.next_batch(stream, after)
    }

    /// See [`Reader::next_of_any`](crate::Reader::next_of_any).
    pub fn next_of_any(&self, after: BatchSeq) -> Result<Option<StoredBatch>> {
        self.log.with_reader(|reader| reader.next_of_any(after))
    }

    /// See [`Reader::next_matching`](crate::Reader::next_matching).
    pub fn next_matching(&self, filter: &Filter, after: BatchSeq) -> Result<Option<StoredBatch>> {
        self.log
            .with_reader(|reader| reader.next_matching(filter, after))
    }

    /// See [`Reader::next_meta`](crate::Reader::next_meta).
    pub fn next_meta(&self, stream: Stream, after: BatchSeq) -> Result<Option<BatchMeta>> {
        self.log
            .with_reader(|reader| reader.next_meta(stream, after))
    }

    /// See [`Reader::batch`](crate::Reader::batch). The newest batches come from memory.
    pub fn batch(&self, seq: BatchSeq) -> Result<Option<StoredBatch>> {
        self.log.batch(seq)
    }

    /// Moves the write-ahead log into the database file, as far as readers allow. The journal does
    /// this by itself; call it before the process exits.
    pub fn checkpoint(&self) -> Result<()> {
        self.log.writer().checkpoint()
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("location", &self.location())
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}
