//! A SQLite connection as a database: statements, transactions, and what only SQLite has.

use std::cell::Cell;

use rusqlite::{Connection, params_from_iter};

use crate::database::error::{DatabaseError, DatabaseResult};
use crate::database::row::Row;
use crate::database::value::Value;

/// Pages of the write-ahead log after which a checkpoint is taken: 16 MiB.
const CHECKPOINT_PAGES: i64 = 4096;

/// A SQLite connection.
#[derive(Debug)]
pub(crate) struct Sqlite {
    pub(crate) conn: Connection,
    /// Whether commits do not wait for the disk at present.
    is_lazy: Cell<bool>,
}

impl Sqlite {
    pub(crate) fn new(conn: Connection) -> Self {
        Self {
            conn,
            is_lazy: Cell::new(false),
        }
    }

    pub(crate) fn execute(&self, sql: &str, values: &[Value<'_>]) -> DatabaseResult<u64> {
        let mut statement = self.conn.prepare_cached(sql)?;
        Ok(statement.execute(params_from_iter(values))? as u64)
    }

    pub(crate) fn for_each<E: From<DatabaseError>>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = self.conn.prepare_cached(sql).map_err(DatabaseError::from)?;
        let mut rows = statement
            .query(params_from_iter(values))
            .map_err(DatabaseError::from)?;
        while let Some(row) = rows.next().map_err(DatabaseError::from)? {
            each(&Row::Sqlite(row))?;
        }
        Ok(())
    }

    pub(crate) fn first<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> DatabaseResult<T>,
    ) -> DatabaseResult<Option<T>> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        match rows.next()? {
            Some(row) => read(&Row::Sqlite(row)).map(Some),
            None => Ok(None),
        }
    }

    /// Runs statements without values.
    pub(crate) fn run(&self, sql: &str) -> DatabaseResult<()> {
        Ok(self.conn.execute_batch(sql)?)
    }

    /// Begins a transaction that writes. A lazy one does not wait for the disk: a power failure may
    /// undo it as a whole, but nothing before it.
    pub(crate) fn begin_write(&self, is_lazy: bool) -> DatabaseResult<()> {
        if self.is_lazy.get() != is_lazy {
            let level = if is_lazy { "NORMAL" } else { "FULL" };
            self.conn.pragma_update(None, "synchronous", level)?;
            self.is_lazy.set(is_lazy);
        }
        self.run("BEGIN IMMEDIATE")
    }

    /// Bytes of the pages that are in use.
    pub(crate) fn used_bytes(&self) -> DatabaseResult<u64> {
        let pragma = |name: &str| -> rusqlite::Result<i64> {
            self.conn
                .query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
        };
        let pages = pragma("page_count")? - pragma("freelist_count")?;
        Ok(pages.saturating_mul(pragma("page_size")?).cast_unsigned())
    }

    /// Whether the write-ahead log is long.
    pub(crate) fn is_checkpoint_due(&self) -> bool {
        let pages: rusqlite::Result<i64> =
            self.conn
                .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1));
        pages.is_ok_and(|pages| pages >= CHECKPOINT_PAGES)
    }

    /// Moves the write-ahead log into the database file, as far as readers allow.
    pub(crate) fn checkpoint(&self) -> DatabaseResult<()> {
        Ok(self
            .conn
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
    }

    /// Returns free pages at the end of the file to the file system.
    pub(crate) fn return_space(&self) -> DatabaseResult<()> {
        let mut statement = self.conn.prepare("PRAGMA incremental_vacuum(4096)")?;
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        Ok(())
    }

    /// SQLite's own check of pages, trees and indices: what it found.
    pub(crate) fn check_structure(&self) -> DatabaseResult<Vec<String>> {
        let mut statement = self.conn.prepare("PRAGMA integrity_check")?;
        let lines: Vec<String> = statement
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }
}
