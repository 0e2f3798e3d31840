//! The table `epochs`: how the ids of batches start.
//!
//! A restored backup appends other batches under numbers that the outputs have seen. Their ids
//! differ, because each process that appends draws a new epoch.

use callmeter_records::{BatchId, BatchSeq};

use crate::checksum::RowChecksum;
use crate::database::connection::Connection;
use crate::database::error::DatabaseResult;
use crate::database::upsert::upsert;
use crate::database::value::values;
use crate::error::Result;

/// Stores that the ids of `first` and later batches start with `epoch`.
pub(crate) fn write(conn: &Connection, first: i64, epoch: [u8; 8]) -> DatabaseResult<()> {
    conn.execute(
        upsert!("epochs" ("first") "epoch"),
        values![first, &epoch, row_checksum(first, epoch)],
    )?;
    Ok(())
}

/// The id of a batch.
pub(crate) fn batch_id(conn: &Connection, seq: BatchSeq) -> Result<BatchId> {
    let found: Option<(i64, [u8; 8], i64)> = conn
        .first(
            "SELECT first, epoch, checksum FROM epochs WHERE first <= ? ORDER BY first DESC LIMIT 1",
            values![seq.to_sql()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .map_err(|source| conn.failed("read", source))?;
    match found {
        Some((first, epoch, checksum)) if checksum == row_checksum(first, epoch) => {
            Ok(BatchId::new(epoch, seq))
        }
        _ => Err(conn.corrupt(format!(
            "the epoch of batch {seq} is missing or does not match its checksum"
        ))),
    }
}

/// Deletes the epochs that only batches before `oldest` have.
pub(crate) fn delete_before(conn: &Connection, oldest: i64) -> DatabaseResult<()> {
    conn.execute(
        "DELETE FROM epochs WHERE first < (SELECT max(first) FROM epochs WHERE first <= ?)",
        values![oldest],
    )?;
    Ok(())
}

fn row_checksum(first: i64, epoch: [u8; 8]) -> i64 {
    RowChecksum::of("epochs")
        .int(first)
        .int(i64::from_le_bytes(epoch))
        .finish()
}
