//! The latest version of each record of the streams that are journaled on change: the table
//! `latest`.

use callmeter_records::{BatchSeq, Stream};

use crate::checksum::RowChecksum;
use crate::database::connection::Connection;
use crate::database::error::DatabaseResult;
use crate::database::row::Row;
use crate::database::value::values;
use crate::error::Result;
use crate::log::reader::Reader;

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
    fn checksum(&self, account: i64, batch: BatchSeq) -> i64 {
        RowChecksum::of("latest")
            .int(account)
            .int(self.stream.code().into())
            .text(&self.key)
            .int(self.fingerprint.cast_signed())
            .int(self.revision.into())
            .int(batch.to_sql())
            .int(self.row.into())
            .finish()
    }

    /// Stores the version, which is in batch `seq`.
    pub(crate) fn write(
        &self,
        conn: &Connection,
        account: i64,
        seq: BatchSeq,
    ) -> DatabaseResult<()> {
        // Not by a conflict of keys: on a server they are in no unique index.
        conn.execute(
            "DELETE FROM latest WHERE account = ? AND stream = ? AND key = ?",
            values![account, self.stream.code(), &self.key],
        )?;
        if self.removed {
            return Ok(());
        }
        conn.execute(
            "INSERT INTO latest (account, stream, key, fingerprint, revision, batch, row, checksum)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            values![
                account,
                self.stream.code(),
                &self.key,
                self.fingerprint.cast_signed(),
                self.revision,
                seq.to_sql(),
                self.row,
                self.checksum(account, seq)
            ],
        )?;
        Ok(())
    }

    fn read(row: &Row<'_>, stream: Stream) -> DatabaseResult<(Self, i64)> {
        let read = Self {
            stream,
            key: row.get(0)?,
            fingerprint: row.get::<i64>(1)?.cast_unsigned(),
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
            .first(
                &format!(
                    "SELECT {COLUMNS} FROM latest WHERE account = ? AND stream = ? AND key = ?"
                ),
                values![account, stream.code(), key],
                |row| LatestVersion::read(row, stream),
            )
            .map_err(|source| self.sql(source))?
            .map(|read| self.checked_latest(account, read))
            .transpose()
    }

    pub(crate) fn all_latest(&self, account: i64, stream: Stream) -> Result<Vec<LatestVersion>> {
        self.conn
            .all(
                &format!("SELECT {COLUMNS} FROM latest WHERE account = ? AND stream = ?"),
                values![account, stream.code()],
                |row| LatestVersion::read(row, stream),
            )
            .map_err(|source| self.sql(source))?
            .into_iter()
            .map(|row| self.checked_latest(account, row))
            .collect()
    }

    fn checked_latest(
        &self,
        account: i64,
        (row, checksum): (LatestVersion, i64),
    ) -> Result<LatestVersion> {
        if row.checksum(account, row.batch) == checksum {
            Ok(row)
        } else {
            Err(self.corrupt(format!(
                "the latest {} `{}` does not match its checksum",
                row.stream, row.key
            )))
        }
    }
}
