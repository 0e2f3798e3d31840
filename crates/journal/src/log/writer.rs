//! The one connection that writes: its transactions and checkpoints.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use callmeter_records::{BatchSeq, Stream};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::error::{JournalError, Result};
use crate::log::accounts::{self, AccountRow, AccountState};
use crate::log::codec::Packer;
use crate::log::{epochs, migration};
use crate::sqlite::{connection, format};

/// Pages of the write-ahead log after which a checkpoint is taken: 16 MiB.
const CHECKPOINT_PAGES: i64 = 4096;

/// The write connection of a journal, and the numbers that it gives next.
pub(crate) struct Writer {
    pub(crate) conn: Connection,
    pub(crate) path: PathBuf,
    /// The journal's random id.
    pub(super) journal: [u8; 8],
    /// What the ids of the appended batches start with.
    pub(super) epoch: [u8; 8],
    /// Whether the epoch is stored: the first append does that.
    pub(super) epoch_is_stored: bool,
    pub(super) numbers: Numbers,
    /// The ids of the schemas that are known to be stored.
    pub(super) schemas: HashMap<Stream, i64>,
    pub(super) packer: Packer,
    wal_pages: i64,
}

/// The numbers that the next batch and records get.
#[derive(Clone)]
pub(super) struct Numbers {
    pub(super) next_batch: i64,
    pub(super) next_sequence: HashMap<Stream, i64>,
}

impl Writer {
    pub(crate) fn open(path: &Path, page_limit: Option<u32>) -> Result<Self> {
        let conn = connection::writer(path, page_limit, migration::to_format_2)?;
        let (journal, next_batch) = format::read_head(&conn, path)?;
        let next_sequence = Stream::ALL
            .into_iter()
            .map(|stream| Ok((stream, format::read_stream(&conn, path, stream)?)))
            .collect::<Result<_>>()?;
        let epoch =
            epochs::draw(&conn).map_err(|source| JournalError::sqlite(path, "open", source))?;
        let mut writer = Self {
            conn,
            epoch,
            epoch_is_stored: false,
            path: path.to_owned(),
            journal,
            numbers: Numbers {
                next_batch,
                next_sequence,
            },
            schemas: HashMap::new(),
            packer: Packer::default(),
            wal_pages: 0,
        };
        writer.checkpoint()?;
        Ok(writer)
    }

    pub(crate) fn head(&self) -> BatchSeq {
        BatchSeq::from_sql(self.numbers.next_batch - 1)
    }

    /// Runs `work` as one transaction: when this returns, all of it is on disk or nothing.
    pub(crate) fn transaction<T>(
        &mut self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let sql = |source| JournalError::sqlite(&self.path, operation, source);
        let transaction = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sql)?;
        let done = work(&transaction)?;
        transaction.commit().map_err(sql)?;
        Ok(done)
    }

    /// Like [`Writer::transaction`], but does not wait for the disk. A power failure may undo the
    /// transaction as a whole, but nothing before it. For work that may be repeated, such as an
    /// acknowledgement.
    pub(crate) fn lazy_transaction<T>(
        &mut self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let sql = |path: &Path, source| JournalError::sqlite(path, operation, source);
        self.conn
            .pragma_update(None, "synchronous", "NORMAL")
            .map_err(|source| sql(&self.path, source))?;
        let done = self.transaction(operation, work);
        self.conn
            .pragma_update(None, "synchronous", "FULL")
            .map_err(|source| sql(&self.path, source))?;
        done
    }

    /// The account with this name; adds it if it is new.
    pub(crate) fn account(&mut self, name: &str) -> Result<AccountRow> {
        if let Some(row) = accounts::read_by_name(&self.conn, &self.path, name)? {
            return Ok(row);
        }
        let path = self.path.clone();
        self.transaction("add an account to", |transaction| {
            let add = || -> rusqlite::Result<AccountRow> {
                let id = transaction.query_row(
                    "SELECT coalesce(max(id), 0) + 1 FROM accounts",
                    [],
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
            add().map_err(|source| JournalError::sqlite(&path, "add an account to", source))
        })
    }

    /// The sequence of the last record of a stream.
    pub(crate) fn last_sequence(&self, stream: Stream) -> i64 {
        self.numbers
            .next_sequence
            .get(&stream)
            .map_or(0, |next| next - 1)
    }

    /// Takes a checkpoint if the write-ahead log is long. A failure costs only disk space: the next
    /// append tries again.
    pub(crate) fn checkpoint_if_due(&mut self) {
        self.wal_pages = self
            .conn
            .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))
            .unwrap_or(self.wal_pages);
        if self.wal_pages >= CHECKPOINT_PAGES
            && let Err(error) = self.checkpoint()
        {
            tracing::warn!(%error, "cannot move the write-ahead log into the journal; will try again after the next append");
        }
    }

    /// Moves the write-ahead log into the database file, as far as readers allow.
    pub(crate) fn checkpoint(&mut self) -> Result<()> {
        self.conn
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .map_err(|source| JournalError::sqlite(&self.path, "checkpoint", source))
    }
}
