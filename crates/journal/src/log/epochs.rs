//! The table `epochs`: how the ids of batches start.
//!
//! A restored backup appends other batches under numbers that the outputs have seen. Their ids
//! differ, because each process that appends draws a new epoch.

use std::path::Path;

use callmeter_records::{BatchId, BatchSeq};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::{JournalError, Result};
use crate::sqlite::checksum::RowChecksum;

/// A new random epoch.
pub(crate) fn draw(conn: &Connection) -> rusqlite::Result<[u8; 8]> {
    conn.query_row("SELECT randomblob(8)", [], |row| row.get(0))
}

/// Stores that the ids of `first` and later batches start with `epoch`.
pub(crate) fn write(conn: &Connection, first: i64, epoch: [u8; 8]) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT OR REPLACE INTO epochs (first, epoch, checksum) VALUES (?, ?, ?)",
        params![first, epoch, row_checksum(first, epoch)],
    )?;
    Ok(())
}

/// The id of a batch.
pub(crate) fn batch_id(conn: &Connection, path: &Path, seq: BatchSeq) -> Result<BatchId> {
    let found: Option<(i64, [u8; 8], i64)> = conn
        .prepare_cached(
            "SELECT first, epoch, checksum FROM epochs WHERE first <= ? ORDER BY first DESC LIMIT 1",
        )
        .and_then(|mut statement| {
            statement
                .query_row([seq.to_sql()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()
        })
        .map_err(|source| JournalError::sqlite(path, "read", source))?;
    match found {
        Some((first, epoch, checksum)) if checksum == row_checksum(first, epoch) => {
            Ok(BatchId::new(epoch, seq))
        }
        _ => Err(JournalError::corrupt(
            path,
            format!("the epoch of batch {seq} is missing or does not match its checksum"),
        )),
    }
}

/// Deletes the epochs that only batches before `oldest` have.
pub(crate) fn delete_before(conn: &Connection, oldest: i64) -> rusqlite::Result<()> {
    conn.execute(
        "DELETE FROM epochs WHERE first < (SELECT max(first) FROM epochs WHERE first <= ?)",
        [oldest],
    )?;
    Ok(())
}

fn row_checksum(first: i64, epoch: [u8; 8]) -> i64 {
    RowChecksum::of("epochs")
        .int(first)
        .int(i64::from_le_bytes(epoch))
        .finish()
}
