//! The latest version of each record of the streams that are journaled on change: the table
//! `latest`.

use callmeter_records::{BatchSeq, Stream};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::error::Result;
use crate::log::reader::Reader;
use crate::sqlite::checksum::RowChecksum;

/// The latest version of a record: a row of `latest`, without the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LatestVersion {
    pub(crate) stream: Stream,
    pub(crate) key: String,
    pub(crate) fingerprint: u64,
    pub(crate) revision: i32,
    pub(crate) batch: BatchSeq,
    pub(crate) row: u32,
    /// Whether the record was removed: its row is deleted instead of stored.
    pub(crate) removed: bool,
}

impl LatestVersion {
    fn checksum(&self, account: i64) -> i64 {
        RowChecksum::of("latest")
            .int(account)
            .int(self.stream.code().into())
            .text(&self.key)
            .int(self.fingerprint.cast_signed())
            .int(self.revision.into())
            .int(self.batch.to_sql())
            .int(self.row.into())
            .finish()
    }

    /// Stores the version, which is in batch `seq`.
    pub(crate) fn write(
        mut self,
        conn: &Connection,
        account: i64,
        seq: BatchSeq,
    ) -> rusqlite::Result<()> {
        if self.removed {
            conn.prepare_cached("DELETE FROM latest WHERE account = ? AND stream = ? AND key = ?")?
                .execute(params![account, self.stream.code(), self.key])?;
            return Ok(());
        }
        self.batch = seq;
        conn.prepare_cached(
            "INSERT OR REPLACE INTO latest (account, stream, key, fingerprint, revision, batch, row, checksum)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            account,
            self.stream.code(),
            self.key,
            self.fingerprint.cast_signed(),
            self.revision,
            self.batch.to_sql(),
            self.row,
            self.checksum(account)
        ])?;
        Ok(())
    }

    fn read(row: &Row<'_>, stream: Stream) -> rusqlite::Result<(Self, i64)> {
        let read = Self {
            stream,
            key: row.get(0)?,
            fingerprint: row.get::<_, i64>(1)?.cast_unsigned(),
            revision: row.get(2)?,
            batch: BatchSeq::from_sql(row.get(3)?),
            row: row.get(4)?,
            removed: false,
        };
        Ok((read, row.get(5)?))
    }
}

const COLUMNS: &str = "key, fingerprint, revision, batch, row, checksum";

impl Reader {
    pub(crate) fn latest(
        &self,
        account: i64,
        stream: Stream,
        key: &str,
    ) -> Result<Option<LatestVersion>> {
        self.conn
            .prepare_cached(&format!(
                "SELECT {COLUMNS} FROM latest WHERE account = ? AND stream = ? AND key = ?"
            ))
            .and_then(|mut statement| {
                statement
                    .query_row(params![account, stream.code(), key], |row| {
                        LatestVersion::read(row, stream)
                    })
                    .optional()
            })
            .map_err(|source| self.sql(source))?
            .map(|read| self.checked_latest(account, read))
            .transpose()
    }

    pub(crate) fn all_latest(&self, account: i64, stream: Stream) -> Result<Vec<LatestVersion>> {
        let read = || -> rusqlite::Result<Vec<_>> {
            self.conn
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM latest WHERE account = ? AND stream = ?"
                ))?
                .query_map(params![account, stream.code()], |row| {
                    LatestVersion::read(row, stream)
                })?
                .collect()
        };
        let rows = read().map_err(|source| self.sql(source))?;
        rows.into_iter()
            .map(|row| self.checked_latest(account, row))
            .collect()
    }

    fn checked_latest(
        &self,
        account: i64,
        (row, checksum): (LatestVersion, i64),
    ) -> Result<LatestVersion> {
        if row.checksum(account) == checksum {
            Ok(row)
        } else {
            Err(self.corrupt(format!(
                "the latest {} `{}` does not match its checksum",
                row.stream, row.key
            )))
        }
    }
}
