//! The table `cursors`: how far each output has acknowledged each of its streams.

use std::path::Path;

use callmeter_records::{BatchSeq, Stream};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::error::{JournalError, Result};
use crate::sqlite::checksum::RowChecksum;

/// How far an output has acknowledged a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The output.
    pub output: String,
    /// The stream.
    pub stream: Stream,
    /// The last batch that the output acknowledged.
    pub batch: BatchSeq,
    /// The `sequence` of the last record of that batch.
    pub sequence: i64,
    /// How many records retention deleted before the output acknowledged them.
    pub lost: u64,
}

/// A cursor that moves in the same transaction as an append, which fails if it is there already.
pub(crate) struct CursorMove<'a> {
    pub(crate) output: &'a str,
    pub(crate) stream: Stream,
    pub(crate) batch: BatchSeq,
}

impl Cursor {
    fn checksum(&self) -> i64 {
        RowChecksum::of("cursors")
            .text(&self.output)
            .int(self.stream.code().into())
            .int(self.batch.to_sql())
            .int(self.sequence)
            .int(self.lost.cast_signed())
            .finish()
    }

    pub(crate) fn write(&self, conn: &Connection) -> rusqlite::Result<()> {
        conn.prepare_cached(
            "INSERT OR REPLACE INTO cursors (output, stream, batch, sequence, lost, checksum)
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            self.output,
            self.stream.code(),
            self.batch.to_sql(),
            self.sequence,
            self.lost.cast_signed(),
            self.checksum()
        ])?;
        Ok(())
    }
}

type RawCursor = (String, u8, i64, i64, i64, i64);

fn read_raw(row: &Row<'_>) -> rusqlite::Result<RawCursor> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
    ))
}

fn checked(
    path: &Path,
    (output, stream, batch, sequence, lost, checksum): RawCursor,
) -> Result<Cursor> {
    let corrupt = |output: &str| {
        JournalError::corrupt(
            path,
            format!("a cursor of output `{output}` does not match its checksum"),
        )
    };
    let Some(stream) = Stream::from_code(stream) else {
        return Err(corrupt(&output));
    };
    let batch = BatchSeq::from_sql(batch);
    let cursor = Cursor {
        output,
        stream,
        batch,
        sequence,
        lost: lost.cast_unsigned(),
    };
    if cursor.checksum() == checksum {
        Ok(cursor)
    } else {
        Err(corrupt(&cursor.output))
    }
}

/// All cursors, by output and stream.
pub(crate) fn read_all(conn: &Connection, path: &Path) -> Result<Vec<Cursor>> {
    let read = || -> rusqlite::Result<Vec<_>> {
        conn.prepare_cached(
            "SELECT output, stream, batch, sequence, lost, checksum FROM cursors ORDER BY output, stream",
        )?
        .query_map([], read_raw)?
        .collect()
    };
    let rows = read().map_err(|source| JournalError::sqlite(path, "read", source))?;
    rows.into_iter().map(|row| checked(path, row)).collect()
}

/// The cursor of an output for a stream.
pub(crate) fn read_one(
    conn: &Connection,
    path: &Path,
    output: &str,
    stream: Stream,
) -> Result<Option<Cursor>> {
    conn.prepare_cached(
        "SELECT output, stream, batch, sequence, lost, checksum FROM cursors WHERE output = ? AND stream = ?",
    )
    .and_then(|mut statement| statement.query_row(params![output, stream.code()], read_raw).optional())
    .map_err(|source| JournalError::sqlite(path, "read", source))?
    .map(|row| checked(path, row))
    .transpose()
}

/// Moves a cursor within a transaction that also appends what it stands for.
pub(crate) fn advance(conn: &Connection, path: &Path, to: &CursorMove<'_>) -> Result<()> {
    let cursor =
        read_one(conn, path, to.output, to.stream)?.ok_or_else(|| JournalError::UnknownOutput {
            output: to.output.to_owned(),
            stream: to.stream,
        })?;
    if cursor.batch >= to.batch {
        return Err(JournalError::CursorMoved {
            output: to.output.to_owned(),
            batch: to.batch,
        });
    }
    let sequence = last_sequence_at(conn, to.stream, to.batch)
        .map_err(|source| JournalError::sqlite(path, "append to", source))?;
    let moved = Cursor {
        batch: to.batch,
        sequence: sequence.unwrap_or(cursor.sequence).max(cursor.sequence),
        ..cursor
    };
    moved
        .write(conn)
        .map_err(|source| JournalError::sqlite(path, "append to", source))
}

/// The sequence of the last record of a stream up to a batch.
pub(crate) fn last_sequence_at(
    conn: &Connection,
    stream: Stream,
    batch: BatchSeq,
) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached(
        "SELECT first_sequence + rows - 1 FROM batches WHERE stream = ? AND seq <= ?
         ORDER BY seq DESC LIMIT 1",
    )?
    .query_row(params![stream.code(), batch.to_sql()], |row| row.get(0))
    .optional()
}
