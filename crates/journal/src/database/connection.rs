//! A connection to the database of a journal, and its transactions.

use std::ops::Deref;
use std::time::Duration;

use callmeter_records::BatchSeq;

use crate::database::error::{DatabaseError, DatabaseResult};
use crate::database::row::Row;
use crate::database::value::{Value, values};
use crate::error::JournalError;
use crate::location::Location;
use crate::postgres::engine::{self as postgres, Postgres};
use crate::sqlite::engine::Sqlite;

/// Bytes that a row on a server takes besides its contents, with its places in indexes.
pub(crate) const REST_OF_A_ROW: u64 = 300;

/// A connection. Statements are written in what all engines understand; each text is prepared once.
#[derive(Debug)]
pub(crate) struct Connection {
    engine: Engine,
    location: Location,
}

#[derive(Debug)]
pub(crate) enum Engine {
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
}

/// What a transaction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It only reads, and sees one state of the journal.
    Read,
    /// It writes. No other one does at the same time.
    Write,
    /// Like `Write`, but does not wait for the disk. A power failure may undo the transaction as a
    /// whole, but nothing before it. For work that may be repeated, such as an acknowledgement.
    LazyWrite,
}

impl Connection {
    pub(crate) fn new(engine: Engine, location: Location) -> Self {
        Self { engine, location }
    }

    /// The connection itself, for what only one engine has.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Where the journal is.
    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// Runs a statement that has no answer; returns how many rows it changed.
    pub(crate) fn execute(&self, sql: &str, values: &[Value<'_>]) -> DatabaseResult<u64> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.execute(sql, values),
            Engine::Postgres(postgres) => postgres.execute(sql, values),
        }
    }

    /// Runs a query; calls `each` with its rows, in order. No other statement can run meanwhile.
    pub(crate) fn for_each<E: From<DatabaseError>>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        each: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.for_each(sql, values, each),
            Engine::Postgres(postgres) => postgres.for_each(sql, values, each),
        }
    }

    /// The first row of a query, if it has one.
    pub(crate) fn first<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> DatabaseResult<T>,
    ) -> DatabaseResult<Option<T>> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.first(sql, values, read),
            Engine::Postgres(postgres) => postgres.first(sql, values, read),
        }
    }

    /// The row of a query that always has one.
    pub(crate) fn only<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> DatabaseResult<T>,
    ) -> DatabaseResult<T> {
        self.first(sql, values, read)?.ok_or(DatabaseError::NoRow)
    }

    /// All rows of a query.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> DatabaseResult<T>,
    ) -> DatabaseResult<Vec<T>> {
        let mut rows = Vec::new();
        self.for_each(sql, values, |row| {
            rows.push(read(row)?);
            DatabaseResult::Ok(())
        })?;
        Ok(rows)
    }

    /// Starts a transaction, which is rolled back when it is dropped.
    pub(crate) fn begin(&self, access: Access) -> DatabaseResult<Transaction<'_>> {
        match &self.engine {
            Engine::Sqlite(sqlite) => match access {
                Access::Read => sqlite.run("BEGIN")?,
                Access::Write => sqlite.begin_write(false)?,
                Access::LazyWrite => sqlite.begin_write(true)?,
            },
            Engine::Postgres(postgres) => postgres.begin(match access {
                Access::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                Access::Write => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
                Access::LazyWrite => {
                    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
                     SET LOCAL synchronous_commit = off"
                }
            })?,
        }
        Ok(Transaction {
            conn: self,
            is_open: true,
        })
    }

    /// Runs statements without values.
    pub(crate) fn run(&self, sql: &str) -> DatabaseResult<()> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.run(sql),
            Engine::Postgres(postgres) => postgres.run(sql),
        }
    }

    /// Tells the instances that follow the journal which batch is the last one. They hear it when
    /// the transaction is committed.
    pub(crate) fn announce(&self, head: BatchSeq) -> DatabaseResult<()> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(postgres) => postgres
                .execute(
                    "SELECT pg_notify(?, ?)",
                    values![&self.location.channel(), &head.to_string()],
                )
                .map(drop),
        }
    }

    /// Tells them that leases are free, when the transaction is committed.
    pub(crate) fn announce_release(&self) -> DatabaseResult<()> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(postgres) => postgres
                .execute(
                    "SELECT pg_notify(?, ?)",
                    &[
                        Value::Text(&self.location.channel()),
                        Value::Text(postgres::RELEASED),
                    ],
                )
                .map(drop),
        }
    }

    /// Waits for what is announced, but not longer than `time`. True if leases are free.
    pub(crate) fn wait_for_change(&self, time: Duration) -> DatabaseResult<bool> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(false),
            Engine::Postgres(postgres) => postgres.wait(time),
        }
    }

    /// Bytes that the journal takes.
    pub(crate) fn used_bytes(&self) -> DatabaseResult<u64> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.used_bytes(),
            Engine::Postgres(_) => self.live_bytes(),
        }
    }

    /// Bytes of the files of a server. They also have rows that are deleted, until the server uses
    /// their place again.
    pub(crate) fn server_file_bytes(&self) -> DatabaseResult<Option<u64>> {
        if matches!(self.engine, Engine::Sqlite(_)) {
            return Ok(None);
        }
        let bytes: i64 = self.only(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = current_schema() AND c.relkind = 'r'",
            values![],
            |row| row.get(0),
        )?;
        Ok(Some(bytes.cast_unsigned()))
    }

    /// Bytes of what is stored on a server: reads all rows.
    fn live_bytes(&self) -> DatabaseResult<u64> {
        let bytes: i64 = self.only(
            "SELECT (SELECT coalesce(sum(length(keys) + length(payload) + ?1), 0) FROM batches)::bigint
             + (SELECT coalesce(sum(length(data) + ?1), 0) FROM snapshots)::bigint
             + (SELECT coalesce(sum(length(key) + ?1), 0) FROM latest)::bigint
             + (SELECT coalesce(sum(length(rates) + ?1), 0) FROM decks)::bigint",
            &[Value::Int(REST_OF_A_ROW.cast_signed())],
            |row| row.get(0),
        )?;
        Ok(bytes.cast_unsigned())
    }

    /// Whether the connection is lost, as far as this end has heard of it.
    pub(crate) fn is_closed(&self) -> bool {
        match &self.engine {
            Engine::Sqlite(_) => false,
            Engine::Postgres(postgres) => postgres.is_closed(),
        }
    }

    /// Whether [`Connection::checkpoint`] is due. A server does that by itself.
    pub(crate) fn is_checkpoint_due(&self) -> bool {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.is_checkpoint_due(),
            Engine::Postgres(_) => false,
        }
    }

    /// Moves the write-ahead log into the database file.
    pub(crate) fn checkpoint(&self) -> DatabaseResult<()> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.checkpoint(),
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Returns what deleted rows took to the file system. A server does that by itself.
    pub(crate) fn return_space(&self) -> DatabaseResult<()> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.return_space(),
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// What the database itself finds wrong with how it stores the tables.
    pub(crate) fn check_structure(&self) -> DatabaseResult<Vec<String>> {
        match &self.engine {
            Engine::Sqlite(sqlite) => sqlite.check_structure(),
            // A server checks its files by itself.
            Engine::Postgres(_) => Ok(Vec::new()),
        }
    }

    /// The error of an operation: `append to`, `read` …
    pub(crate) fn failed(&self, operation: &'static str, source: DatabaseError) -> JournalError {
        JournalError::database(&self.location, operation, source)
    }

    pub(crate) fn corrupt(&self, what: impl Into<String>) -> JournalError {
        JournalError::corrupt(&self.location, what)
    }
}

/// An open transaction. Statements of its connection belong to it.
pub(crate) struct Transaction<'c> {
    conn: &'c Connection,
    is_open: bool,
}

impl Transaction<'_> {
    pub(crate) fn commit(mut self) -> DatabaseResult<()> {
        match &self.conn.engine {
            Engine::Sqlite(sqlite) => sqlite.run("COMMIT")?,
            Engine::Postgres(postgres) => postgres.commit()?,
        }
        self.is_open = false;
        Ok(())
    }

    /// Leaves it open: whoever calls this ends it.
    pub(crate) fn leave_open(mut self) {
        self.is_open = false;
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.conn
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open
            && let Err(error) = self.conn.run("ROLLBACK")
        {
            // Some errors have rolled it back already.
            tracing::debug!(%error, journal = %self.conn.location, "a transaction was not rolled back");
        }
    }
}
