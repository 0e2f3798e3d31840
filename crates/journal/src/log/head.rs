//! The head row, and the sequence of each stream's next record.

use callmeter_records::Stream;

use crate::checksum::RowChecksum;
use crate::database::connection::Connection;
use crate::database::error::DatabaseResult;
use crate::database::upsert::upsert;
use crate::database::value::values;
use crate::error::{JournalError, Result};
use crate::random;

/// The format that this program writes: that of the tables, and of what is in their columns.
pub(crate) const FORMAT: i64 = 5;

/// The number of the next batch in the head row of a copy that is not finished.
pub(crate) const UNFINISHED: i64 = 0;

const HEAD: &str = "SELECT id, next_batch, checksum FROM journal";
/// SQLite has no such lock: only one transaction writes.
const LOCK: &str = "SELECT id, next_batch, checksum FROM journal FOR UPDATE";

/// Stores the rows of a new journal, with a random id.
pub(crate) fn write_first(conn: &Connection) -> DatabaseResult<()> {
    write_head(conn, random::bytes(), 1)?;
    for stream in Stream::ALL {
        write_stream(conn, stream, 1)?;
    }
    Ok(())
}

/// Stores the journal's id and the number of its next batch.
pub(crate) fn write_head(conn: &Connection, id: [u8; 8], next_batch: i64) -> DatabaseResult<()> {
    conn.execute(
        upsert!("journal" ("one") "id", "next_batch"),
        values![1, &id, next_batch, head_checksum(id, next_batch)],
    )?;
    Ok(())
}

/// The journal's id and the number of its next batch.
pub(crate) fn read_head(conn: &Connection) -> Result<([u8; 8], i64)> {
    finished(conn, head_row(conn, HEAD)?)
}

/// Like [`read_head`], but also for an unfinished copy, whose next batch is [`UNFINISHED`].
pub(crate) fn read_any_head(conn: &Connection) -> Result<([u8; 8], i64)> {
    head_row(conn, HEAD)
}

/// Like [`read_head`], but locks the row on a server until the transaction ends: others that write
/// wait. So numbers become visible in the order in which they are given.
pub(crate) fn lock_head(conn: &Connection) -> Result<([u8; 8], i64)> {
    finished(conn, head_row(conn, LOCK)?)
}

fn finished(conn: &Connection, head: ([u8; 8], i64)) -> Result<([u8; 8], i64)> {
    if head.1 == UNFINISHED {
        return Err(JournalError::UnfinishedCopy {
            journal: conn.location().clone(),
        });
    }
    Ok(head)
}

fn head_row(conn: &Connection, query: &str) -> Result<([u8; 8], i64)> {
    let (id, next_batch, checksum): ([u8; 8], i64, i64) = conn
        .first(query, values![], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .map_err(|source| conn.failed("read", source))?
        .ok_or_else(|| conn.corrupt("its head row is missing"))?;
    if checksum != head_checksum(id, next_batch) || next_batch < UNFINISHED {
        return Err(conn.corrupt("its head row does not match its checksum"));
    }
    Ok((id, next_batch))
}

fn head_checksum(id: [u8; 8], next_batch: i64) -> i64 {
    RowChecksum::of("journal")
        .int(i64::from_le_bytes(id))
        .int(next_batch)
        .finish()
}

/// Stores the sequence of a stream's next record.
pub(crate) fn write_stream(
    conn: &Connection,
    stream: Stream,
    next_sequence: i64,
) -> DatabaseResult<()> {
    conn.execute(
        upsert!("streams" ("stream") "next_sequence"),
        values![
            stream.code(),
            next_sequence,
            stream_checksum(stream, next_sequence)
        ],
    )?;
    Ok(())
}

/// The sequence of a stream's next record.
pub(crate) fn read_stream(conn: &Connection, stream: Stream) -> Result<i64> {
    let (next_sequence, checksum): (i64, i64) = conn
        .first(
            "SELECT next_sequence, checksum FROM streams WHERE stream = ?",
            values![stream.code()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(|source| conn.failed("read", source))?
        .ok_or_else(|| conn.corrupt(format!("the next sequence of stream {stream} is missing")))?;
    if checksum != stream_checksum(stream, next_sequence) {
        return Err(conn.corrupt(format!(
            "the next sequence of stream {stream} does not match its checksum"
        )));
    }
    Ok(next_sequence)
}

fn stream_checksum(stream: Stream, next_sequence: i64) -> i64 {
    RowChecksum::of("streams")
        .int(stream.code().into())
        .int(next_sequence)
        .finish()
}
