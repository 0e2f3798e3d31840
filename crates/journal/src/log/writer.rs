//! The one connection that writes: its transactions and checkpoints.

use std::collections::HashMap;
use std::path::Path;

use callmeter_records::{BatchSeq, Stream};

use crate::database::connection::{Access, Connection};
use crate::database::error::DatabaseResult;
use crate::database::value::values;
use crate::error::Result;
use crate::log::accounts::{self, AccountRow, AccountState};
use crate::log::codec::Packer;
use crate::log::{head, migration};
use crate::random;
use crate::sqlite::connection;

/// The write connection of a journal, and the numbers that it gives next.
pub(crate) struct Writer {
    pub(crate) conn: Connection,
    /// What the ids of the appended batches start with.
    pub(super) epoch: [u8; 8],
    /// Whether the epoch is stored: the first append does that.
    pub(super) epoch_is_stored: bool,
    pub(super) numbers: Numbers,
    /// The ids of the schemas that are known to be stored.
    pub(super) schemas: HashMap<Stream, i64>,
    pub(super) packer: Packer,
}

/// The numbers that the next batch and records get.
#[derive(Clone)]
pub(crate) struct Numbers {
    /// The journal's random id.
    pub(super) journal: [u8; 8],
    pub(super) next_batch: i64,
    pub(super) next_sequence: HashMap<Stream, i64>,
}

impl Numbers {
    fn read(conn: &Connection) -> Result<Self> {
        let (journal, next_batch) = head::read_head(conn)?;
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
    pub(crate) fn open(path: &Path, page_limit: Option<u32>) -> Result<Self> {
        let conn = connection::writer(path, page_limit, migration::to_format_2)?;
        let writer = Self {
            numbers: Numbers::read(&conn)?,
            conn,
            epoch: random::bytes(),
            epoch_is_stored: false,
            schemas: HashMap::new(),
            packer: Packer::default(),
        };
        writer.checkpoint()?;
        Ok(writer)
    }

    pub(crate) fn head(&self) -> BatchSeq {
        self.numbers.head()
    }

    /// Runs `work` as one transaction: when this returns, all of it is on disk or nothing. `work`
    /// gets the numbers that come next.
    pub(crate) fn transaction<T>(
        &mut self,
        operation: &'static str,
        work: impl FnMut(&Connection, &Numbers) -> Result<T>,
    ) -> Result<T> {
        self.transact(operation, Access::Write, work)
    }

    /// Like [`Writer::transaction`], but does not wait for the disk. A power failure may undo the
    /// transaction as a whole, but nothing before it. For work that may be repeated, such as an
    /// acknowledgement.
    pub(crate) fn lazy_transaction<T>(
        &mut self,
        operation: &'static str,
        work: impl FnMut(&Connection, &Numbers) -> Result<T>,
    ) -> Result<T> {
        self.transact(operation, Access::LazyWrite, work)
    }

    fn transact<T>(
        &mut self,
        operation: &'static str,
        access: Access,
        mut work: impl FnMut(&Connection, &Numbers) -> Result<T>,
    ) -> Result<T> {
        let sql = |source| self.conn.failed(operation, source);
        let transaction = self.conn.begin(access).map_err(sql)?;
        let done = work(&transaction, &self.numbers)?;
        transaction.commit().map_err(sql)?;
        Ok(done)
    }

    /// The account with this name; adds it if it is new.
    pub(crate) fn account(&mut self, name: &str) -> Result<AccountRow> {
        const ADD: &str = "add an account to";
        if let Some(row) = accounts::read_by_name(&self.conn, name)? {
            return Ok(row);
        }
        self.transaction(ADD, |transaction, _| {
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
