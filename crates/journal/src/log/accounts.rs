//! The state of each account: the table `accounts`.

use crate::checksum::RowChecksum;
use crate::database::connection::Connection;
use crate::database::error::DatabaseResult;
use crate::database::row::Row;
use crate::database::upsert::upsert;
use crate::database::value::{Value, values};
use crate::error::Result;

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

    pub(crate) fn write(&self, conn: &Connection) -> DatabaseResult<()> {
        conn.execute(
            upsert!("accounts" ("id") "name", "watermark", "page_base", "horizon", "forgotten_before"),
            values![
                self.id,
                &self.name,
                self.state.watermark,
                self.state.page_base,
                self.horizon,
                self.forgotten_before,
                self.checksum()
            ],
        )?;
        Ok(())
    }

    fn read(row: &Row<'_>) -> DatabaseResult<(Self, i64)> {
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

pub(crate) fn read_by_id(conn: &Connection, id: i64) -> Result<Option<AccountRow>> {
    read_where(conn, "id = ?", id.into())
}

pub(crate) fn read_by_name(conn: &Connection, name: &str) -> Result<Option<AccountRow>> {
    read_where(conn, "name = ?", name.into())
}

fn read_where(conn: &Connection, condition: &str, value: Value<'_>) -> Result<Option<AccountRow>> {
    conn.first(
        &format!("SELECT {COLUMNS} FROM accounts WHERE {condition}"),
        &[value],
        AccountRow::read,
    )
    .map_err(|source| conn.failed("read", source))?
    .map(|read| check(conn, read))
    .transpose()
}

/// All accounts, by name.
pub(crate) fn read_all(conn: &Connection) -> Result<Vec<AccountRow>> {
    conn.all(
        &format!("SELECT {COLUMNS} FROM accounts ORDER BY name"),
        values![],
        AccountRow::read,
    )
    .map_err(|source| conn.failed("read", source))?
    .into_iter()
    .map(|row| check(conn, row))
    .collect()
}

fn check(conn: &Connection, (row, checksum): (AccountRow, i64)) -> Result<AccountRow> {
    if row.checksum() == checksum {
        Ok(row)
    } else {
        Err(conn.corrupt(format!(
            "account `{}` does not match its checksum",
            row.name
        )))
    }
}
