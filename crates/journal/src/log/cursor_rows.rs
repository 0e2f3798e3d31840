//! The table `cursors`: how far each output has acknowledged each of its streams.

use callmeter_records::{BatchSeq, Stream};

use crate::checksum::RowChecksum;
use crate::database::connection::Connection;
use crate::database::error::DatabaseResult;
use crate::database::row::Row;
use crate::database::upsert::upsert;
use crate::database::value::values;
use crate::error::{JournalError, Result};

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

    pub(crate) fn write(&self, conn: &Connection) -> DatabaseResult<()> {
        conn.execute(
            upsert!("cursors" ("output", "stream") "batch", "sequence", "lost"),
            values![
                &self.output,
                self.stream.code(),
                self.batch.to_sql(),
                self.sequence,
                self.lost.cast_signed(),
                self.checksum()
            ],
        )?;
        Ok(())
    }
}

type RawCursor = (String, u8, i64, i64, i64, i64);

fn read_raw(row: &Row<'_>) -> DatabaseResult<RawCursor> {
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
    conn: &Connection,
    (output, stream, batch, sequence, lost, checksum): RawCursor,
) -> Result<Cursor> {
    let corrupt = |output: &str| {
        conn.corrupt(format!(
            "a cursor of output `{output}` does not match its checksum"
        ))
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
pub(crate) fn read_all(conn: &Connection) -> Result<Vec<Cursor>> {
    conn.all(
        "SELECT output, stream, batch, sequence, lost, checksum FROM cursors ORDER BY output, stream",
        values![],
        read_raw,
    )
    .map_err(|source| conn.failed("read", source))?
    .into_iter()
    .map(|row| checked(conn, row))
    .collect()
}

/// The cursor of an output for a stream.
pub(crate) fn read_one(conn: &Connection, output: &str, stream: Stream) -> Result<Option<Cursor>> {
    conn.first(
        "SELECT output, stream, batch, sequence, lost, checksum FROM cursors WHERE output = ? AND stream = ?",
        values![output, stream.code()],
        read_raw,
    )
    .map_err(|source| conn.failed("read", source))?
    .map(|row| checked(conn, row))
    .transpose()
}

/// Moves a cursor within a transaction that also appends what it stands for.
pub(crate) fn advance(conn: &Connection, to: &CursorMove<'_>) -> Result<()> {
    let cursor =
        read_one(conn, to.output, to.stream)?.ok_or_else(|| JournalError::UnknownOutput {
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
        .map_err(|source| conn.failed("append to", source))?;
    let moved = Cursor {
        batch: to.batch,
        sequence: sequence.unwrap_or(cursor.sequence).max(cursor.sequence),
        ..cursor
    };
    moved
        .write(conn)
        .map_err(|source| conn.failed("append to", source))
}

/// The sequence of the last record of a stream up to a batch.
pub(crate) fn last_sequence_at(
    conn: &Connection,
    stream: Stream,
    batch: BatchSeq,
) -> DatabaseResult<Option<i64>> {
    conn.first(
        "SELECT first_sequence + rows - 1 FROM batches WHERE stream = ? AND seq <= ?
         ORDER BY seq DESC LIMIT 1",
        values![stream.code(), batch.to_sql()],
        |row| row.get(0),
    )
}
