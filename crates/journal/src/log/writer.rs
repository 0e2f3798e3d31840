//! The one connection that writes: its transactions and checkpoints.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use callmeter_error_chain::chain;
use callmeter_records::{BatchId, BatchSeq, Stream};

use crate::database::connection::{Access, Connection};
use crate::database::error::DatabaseResult;
use crate::database::value::values;
use crate::error::{JournalError, Result};
use crate::leases::fence::Fence;
use crate::location::Location;
use crate::log::accounts::{self, AccountRow, AccountState};
use crate::log::codec::Packer;
use crate::log::source::Source;
use crate::log::{epochs, head};
use crate::random;

/// How often a transaction that was in the way of another one is tried again.
const TRIES: u32 = 5;
/// The longest wait between two connections, while it is not known whether a batch is stored.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// The write connection of a journal, and the numbers that it gives next.
pub(crate) struct Writer {
    conn: Connection,
    source: Source,
    /// What the ids of the appended batches start with.
    pub(super) epoch: [u8; 8],
    /// The number after the last batch that this process has appended. If another number comes
    /// next, the epoch is stored with it.
    pub(super) own_until: i64,
    pub(super) numbers: Numbers,
    /// The ids of the schemas that are known to be stored.
    pub(super) schemas: HashMap<Stream, i64>,
    pub(super) packer: Packer,
}

/// The numbers that the next batch and records get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// The journal's random id.
    pub(super) journal: [u8; 8],
    pub(super) next_batch: i64,
    pub(super) next_sequence: HashMap<Stream, i64>,
}

/// How a transaction ended.
pub(super) enum Ended<T> {
    /// It is stored.
    Committed(T),
    /// The connection was lost during the commit: it may be stored, or not.
    Unknown(T, JournalError),
}

impl Numbers {
    fn read(conn: &Connection) -> Result<Self> {
        Self::with_head(conn, head::read_head(conn)?)
    }

    fn with_head(conn: &Connection, (journal, next_batch): ([u8; 8], i64)) -> Result<Self> {
        let next_sequence = Stream::ALL
            .into_iter()
            .map(|stream| Ok((stream, head::read_stream(conn, stream)?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            journal,
            next_batch,
            next_sequence,
        })
    }

    /// The number of the next batch, and the sequence of its first record.
    pub(super) fn next(&self, stream: Stream) -> Result<(BatchSeq, i64)> {
        // Row addresses have 32 bits for the batch.
        if self.next_batch > i64::from(u32::MAX) {
            return Err(JournalError::Exhausted);
        }
        let sequence = self.next_sequence.get(&stream).copied().unwrap_or(1);
        Ok((BatchSeq::from_sql(self.next_batch), sequence))
    }

    /// Notes that a batch has the next numbers.
    pub(super) fn took(&mut self, stream: Stream, rows: u32) {
        *self.next_sequence.entry(stream).or_insert(1) += i64::from(rows);
        self.next_batch += 1;
    }

    /// The last batch.
    pub(crate) fn head(&self) -> BatchSeq {
        BatchSeq::from_sql(self.next_batch - 1)
    }

    /// The sequence of the last record of a stream.
    pub(crate) fn last_sequence(&self, stream: Stream) -> i64 {
        self.next_sequence.get(&stream).map_or(0, |next| next - 1)
    }
}

impl Writer {
    pub(crate) fn open(source: Source) -> Result<Self> {
        let conn = source.writer()?;
        let writer = Self {
            numbers: Numbers::read(&conn)?,
            conn,
            source,
            epoch: random::bytes(),
            own_until: 0,
            schemas: HashMap::new(),
            packer: Packer::default(),
        };
        writer.checkpoint()?;
        Ok(writer)
    }

    pub(crate) fn head(&self) -> BatchSeq {
        self.numbers.head()
    }

    /// Where the journal is.
    pub(crate) fn location(&self) -> &Location {
        self.conn.location()
    }

    /// The connection. One that was lost is replaced first.
    pub(crate) fn conn(&mut self) -> Result<&Connection> {
        if self.conn.is_closed() {
            self.conn = self.source.writer_again()?;
        }
        Ok(&self.conn)
    }

    /// Runs `work` as one transaction: when this returns, all of it is on disk or nothing. `work`
    /// gets the numbers that come next. It may run several times; only the last one counts. Nothing
    /// is written if the lease of the fence is not held.
    pub(crate) fn transaction<T>(
        &mut self,
        operation: &'static str,
        fence: &Fence,
        work: impl FnMut(&Connection, &Numbers) -> Result<T>,
    ) -> Result<T> {
        self.transact(operation, Access::Write, fence, work)?
            .into_result()
    }

    /// Like [`Writer::transaction`], but does not wait for the disk. A power failure may undo the
    /// transaction as a whole, but nothing before it. For work that may be repeated, such as an
    /// acknowledgement.
    pub(crate) fn lazy_transaction<T>(
        &mut self,
        operation: &'static str,
        fence: &Fence,
        work: impl FnMut(&Connection, &Numbers) -> Result<T>,
    ) -> Result<T> {
        self.transact(operation, Access::LazyWrite, fence, work)?
            .into_result()
    }

    pub(super) fn transact<T>(
        &mut self,
        operation: &'static str,
        access: Access,
        fence: &Fence,
        mut work: impl FnMut(&Connection, &Numbers) -> Result<T>,
    ) -> Result<Ended<T>> {
        let mut tries = 0;
        loop {
            self.conn()?;
            tries += 1;
            match self.attempt(operation, access, fence, &mut work) {
                // Nothing is stored. A connection that was idle may have been lost long ago.
                Err(JournalError::Unreachable { .. }) if tries == 1 && self.conn.is_closed() => {}
                Err(JournalError::Busy { .. }) if tries < TRIES => {
                    thread::sleep(Duration::from_millis(10) * tries);
                }
                ended => return ended,
            }
        }
    }

    fn attempt<T>(
        &mut self,
        operation: &'static str,
        access: Access,
        fence: &Fence,
        work: &mut impl FnMut(&Connection, &Numbers) -> Result<T>,
    ) -> Result<Ended<T>> {
        let sql = |source| self.conn.failed(operation, source);
        let transaction = self.conn.begin(access).map_err(sql)?;
        // On a server another instance may have appended.
        if matches!(self.source, Source::Server(..)) {
            let head = head::lock_head(&transaction)?;
            if head != (self.numbers.journal, self.numbers.next_batch) {
                self.check_still_there(&transaction, head)?;
                self.numbers = Numbers::with_head(&transaction, head)?;
            }
            fence.check(&transaction)?;
        }
        let done = work(&transaction, &self.numbers)?;
        match transaction.commit().map_err(sql) {
            Ok(()) => Ok(Ended::Committed(done)),
            Err(error @ JournalError::Unreachable { .. }) => Ok(Ended::Unknown(done, error)),
            Err(error) => Err(error),
        }
    }

    /// Checks that the server still has what this process knows of: a standby that is promoted may
    /// lack the last commits. Others would get their numbers and ids, and the calls in memory would
    /// not be read again.
    fn check_still_there(&self, conn: &Connection, head: ([u8; 8], i64)) -> Result<()> {
        let went_back = |next: i64| JournalError::WentBack {
            journal: conn.location().clone(),
            batch: BatchSeq::from_sql(next - 1),
        };
        if head.0 != self.numbers.journal || head.1 < self.numbers.next_batch {
            return Err(went_back(self.numbers.next_batch));
        }
        if self.own_until == 0 {
            return Ok(());
        }
        // Another instance may have given the number of a lost batch away. If there is none with
        // the number, retention has deleted it.
        let last = BatchSeq::from_sql(self.own_until - 1);
        if exists(conn, last)? && epochs::batch_id(conn, last)? != BatchId::new(self.epoch, last) {
            return Err(went_back(self.own_until));
        }
        Ok(())
    }

    /// Finds out whether a batch of this process is stored, after the connection was lost during
    /// the commit. Waits until the server says so: if an append that is stored were taken for one
    /// that is not, its records would be appended again. `None` if the journal was given up: then
    /// this process appends nothing more, and the next start finds the batch, or not.
    pub(super) fn is_stored(&mut self, seq: BatchSeq) -> Option<bool> {
        let mut wait = Duration::from_millis(100);
        loop {
            match self.look_for(seq) {
                Ok(is_stored) => return Some(is_stored),
                Err(error) => {
                    tracing::warn!(error = %chain(&error), batch = %seq, "the connection was lost while a batch was committed; nothing is appended until the server says whether it is stored");
                }
            }
            if let Source::Server(_, ending) = &self.source {
                ending.sleep(wait);
                if ending.is_given_up() {
                    return None;
                }
            }
            wait = (wait * 2).min(MAX_WAIT);
        }
    }

    fn look_for(&mut self, seq: BatchSeq) -> Result<bool> {
        self.conn = self.source.writer_again()?;
        let sql = |source| self.conn.failed("read", source);
        let transaction = self.conn.begin(Access::Write).map_err(sql)?;
        // Waits for the lost transaction to end, if the server still runs it.
        head::lock_head(&transaction)?;
        Ok(exists(&transaction, seq)?
            && epochs::batch_id(&transaction, seq)? == BatchId::new(self.epoch, seq))
    }

    /// The account with this name; adds it if it is new.
    pub(crate) fn account(&mut self, name: &str) -> Result<AccountRow> {
        const ADD: &str = "add an account to";
        if let Some(row) = accounts::read_by_name(self.conn()?, name)? {
            return Ok(row);
        }
        self.transaction(ADD, &Fence::Open, |transaction, _| {
            // On a server another instance may have added it.
            if let Some(row) = accounts::read_by_name(transaction, name)? {
                return Ok(row);
            }
            let add = || -> DatabaseResult<AccountRow> {
                let id = transaction.only(
                    "SELECT coalesce(max(id), 0) + 1 FROM accounts",
                    values![],
                    |row| row.get(0),
                )?;
                let row = AccountRow {
                    id,
                    name: name.to_owned(),
                    state: AccountState::default(),
                    horizon: None,
                    forgotten_before: None,
                };
                row.write(transaction)?;
                Ok(row)
            };
            add().map_err(|source| transaction.failed(ADD, source))
        })
    }

    /// The sequence of the last record of a stream.
    pub(crate) fn last_sequence(&self, stream: Stream) -> i64 {
        self.numbers.last_sequence(stream)
    }

    /// Takes a checkpoint if the write-ahead log is long. A failure costs only disk space: the next
    /// append tries again.
    pub(crate) fn checkpoint_if_due(&self) {
        if self.conn.is_checkpoint_due()
            && let Err(error) = self.checkpoint()
        {
            tracing::warn!(%error, "cannot move the write-ahead log into the journal; will try again after the next append");
        }
    }

    /// Moves the write-ahead log into the database file, as far as readers allow.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        self.conn
            .checkpoint()
            .map_err(|source| self.conn.failed("checkpoint", source))
    }
}

fn exists(conn: &Connection, seq: BatchSeq) -> Result<bool> {
    conn.first(
        "SELECT seq FROM batches WHERE seq = ?",
        values![seq.to_sql()],
        |row| row.get::<i64>(0),
    )
    .map(|found| found.is_some())
    .map_err(|source| conn.failed("read", source))
}

impl<T> Ended<T> {
    /// For transactions that may be repeated.
    fn into_result(self) -> Result<T> {
        match self {
            Self::Committed(done) => Ok(done),
            Self::Unknown(_, error) => Err(error),
        }
    }
}
