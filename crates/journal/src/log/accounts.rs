//! The state of each account: the table `accounts`.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::error::{JournalError, Result};
use crate::sqlite::checksum::RowChecksum;

/// How far an account has been read. Stored in the same transaction as the records of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountState {
    /// When the last complete poll started: UTC, microseconds. The next poll reads from
    /// `watermark − lookback`.
    pub watermark: Option<i64>,
    /// The number that the API gives its first page; `None` until a poll has found it.
    pub page_base: Option<i64>,
}

/// A row of `accounts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountRow {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) state: AccountState,
    /// The earliest start time that polls still ask for: UTC, microseconds.
    pub(crate) horizon: Option<i64>,
    /// Retention may have deleted counted calls that started before this: UTC, microseconds.
    pub(crate) forgotten_before: Option<i64>,
}

impl AccountRow {
    fn checksum(&self) -> i64 {
        RowChecksum::of("accounts")
            .int(self.id)
            .text(&self.name)
            .optional(self.state.watermark)
            .optional(self.state.page_base)
            .optional(self.horizon)
            .optional(self.forgotten_before)
            .finish()
    }

    pub(crate) fn write(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.prepare_cached(
            "INSERT OR REPLACE INTO accounts (id, name, watermark, page_base, horizon, forgotten_before, checksum)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            self.id,
            self.name,
            self.state.watermark,
            self.state.page_base,
            self.horizon,
            self.forgotten_before,
            self.checksum()
        ])?;
        Ok(())
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<(Self, i64)> {
        let read = Self {
            id: row.get(0)?,
            name: row.get(1)?,
            state: AccountState {
                watermark: row.get(2)?,
                page_base: row.get(3)?,
            },
            horizon: row.get(4)?,
            forgotten_before: row.get(5)?,
        };
        Ok((read, row.get(6)?))
    }
}

const COLUMNS: &str = "id, name, watermark, page_base, horizon, forgotten_before, checksum";

pub(crate) fn read_by_id(conn: &Connection, path: &Path, id: i64) -> Result<Option<AccountRow>> {
    read_where(conn, path, "id = ?", id)
}

pub(crate) fn read_by_name(
    conn: &Connection,
    path: &Path,
    name: &str,
) -> Result<Option<AccountRow>> {
    read_where(conn, path, "name = ?", name)
}

fn read_where(
    conn: &Connection,
    path: &Path,
    condition: &str,
    value: impl rusqlite::ToSql,
) -> Result<Option<AccountRow>> {
    conn.prepare_cached(&format!("SELECT {COLUMNS} FROM accounts WHERE {condition}"))
        .and_then(|mut statement| statement.query_row([value], AccountRow::read).optional())
        .map_err(|source| JournalError::sqlite(path, "read", source))?
        .map(|read| check(path, read))
        .transpose()
}

/// All accounts, by name.
pub(crate) fn read_all(conn: &Connection, path: &Path) -> Result<Vec<AccountRow>> {
    let read = || -> rusqlite::Result<Vec<_>> {
        conn.prepare_cached(&format!("SELECT {COLUMNS} FROM accounts ORDER BY name"))?
            .query_map([], AccountRow::read)?
            .collect()
    };
    let rows = read().map_err(|source| JournalError::sqlite(path, "read", source))?;
    rows.into_iter().map(|row| check(path, row)).collect()
}

fn check(path: &Path, (row, checksum): (AccountRow, i64)) -> Result<AccountRow> {
    if row.checksum() == checksum {
        Ok(row)
    } else {
        Err(JournalError::corrupt(
            path,
            format!("account `{}` does not match its checksum", row.name),
        ))
    }
}
