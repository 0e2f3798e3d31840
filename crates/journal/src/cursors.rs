//! How far each output has acknowledged each of its streams.

use callmeter_records::{Backlog, BatchSeq, Stream};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::{JournalError, Result};
use crate::journal::Journal;
use crate::log::batch_row::COLUMNS;
use crate::log::cursor_rows::{Cursor, last_sequence_at, read_all, read_one};
use crate::log::reader::Reader;
use crate::sqlite::format;

/// Where a new output starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest batch that retention has not deleted.
    Oldest,
    /// At the next batch that is appended.
    Newest,
    /// After this batch.
    After(BatchSeq),
}

const ADD: &str = "add an output to";

/// The cursor of a new output. `end` is the last batch, and the last sequence of the stream.
fn new_cursor(
    conn: &Connection,
    output: &str,
    stream: Stream,
    start: Start,
    end: (BatchSeq, i64),
) -> rusqlite::Result<Cursor> {
    let (batch, sequence) = match start {
        Start::Newest => end,
        Start::After(batch) => (batch, last_sequence_at(conn, stream, batch)?.unwrap_or(0)),
        Start::Oldest => {
            // The output does not lose what retention deleted before it was registered.
            let first: Option<i64> = conn
                .query_row(
                    "SELECT first_sequence FROM batches WHERE stream = ? ORDER BY seq LIMIT 1",
                    [stream.code()],
                    |row| row.get(0),
                )
                .optional()?;
            (BatchSeq::START, first.map_or(end.1, |first| first - 1))
        }
    };
    Ok(Cursor {
        output: output.to_owned(),
        stream,
        batch,
        sequence,
        lost: 0,
    })
}

impl Reader {
    /// All cursors, by output and stream.
    pub fn cursors(&self) -> Result<Vec<Cursor>> {
        read_all(&self.conn, &self.path)
    }

    /// The cursor of an output for a stream; `None` if it was not registered.
    pub fn cursor(&self, output: &str, stream: Stream) -> Result<Option<Cursor>> {
        read_one(&self.conn, &self.path, output, stream)
    }

    /// The records of a stream that an output has not acknowledged. Takes a few microseconds,
    /// however many there are.
    pub fn backlog(&self, output: &str, stream: Stream) -> Result<Backlog> {
        let cursor = self
            .cursor(output, stream)?
            .ok_or_else(|| JournalError::UnknownOutput {
                output: output.to_owned(),
                stream,
            })?;
        self.backlog_of(&cursor)
    }

    pub(crate) fn backlog_of(&self, cursor: &Cursor) -> Result<Backlog> {
        let oldest = self.row_where(
            &format!(
                "SELECT {COLUMNS} FROM batches WHERE stream = ? AND seq > ? ORDER BY seq LIMIT 1"
            ),
            params![cursor.stream.code(), cursor.batch.to_sql()],
        )?;
        let last = format::read_stream(&self.conn, &self.path, cursor.stream)? - 1;
        Ok(Backlog {
            records: u64::try_from(last - cursor.sequence).unwrap_or(0),
            oldest_observed_at: oldest.map(|batch| batch.observed_at),
            lost: cursor.lost,
        })
    }
}

impl Journal {
    /// See [`Reader::cursors`].
    pub fn cursors(&self) -> Result<Vec<Cursor>> {
        self.log.with_reader(|reader| reader.cursors())
    }

    /// See [`Reader::cursor`].
    pub fn cursor(&self, output: &str, stream: Stream) -> Result<Option<Cursor>> {
        self.log.with_reader(|reader| reader.cursor(output, stream))
    }

    /// See [`Reader::backlog`].
    pub fn backlog(&self, output: &str, stream: Stream) -> Result<Backlog> {
        self.log
            .with_reader(|reader| reader.backlog(output, stream))
    }

    /// Adds a cursor for an output and a stream if there is none. Retention then keeps the batches
    /// that the output has not acknowledged.
    pub fn register_output(&self, output: &str, stream: Stream, start: Start) -> Result<Cursor> {
        let mut writer = self.log.writer();
        if let Some(cursor) = read_one(&writer.conn, &writer.path, output, stream)? {
            return Ok(cursor);
        }
        let end = (writer.head(), writer.last_sequence(stream));
        let path = writer.path.clone();
        writer.transaction(ADD, |transaction| {
            let cursor = new_cursor(transaction, output, stream, start, end)
                .and_then(|cursor| cursor.write(transaction).map(|()| cursor));
            cursor.map_err(|source| JournalError::sqlite(&path, ADD, source))
        })
    }

    /// Makes these outputs the only ones, in one transaction: adds the cursors that are missing and
    /// removes all others, so that retention waits for nothing else. Returns the removed cursors.
    pub fn set_outputs(&self, outputs: &[(&str, Stream, Start)]) -> Result<Vec<Cursor>> {
        let mut writer = self.log.writer();
        let ends: Vec<_> = outputs
            .iter()
            .map(|(_, stream, _)| (writer.head(), writer.last_sequence(*stream)))
            .collect();
        let path = writer.path.clone();
        let known = read_all(&writer.conn, &path)?;
        let is_wanted = |cursor: &Cursor| {
            outputs
                .iter()
                .any(|(output, stream, _)| *output == cursor.output && *stream == cursor.stream)
        };
        let (kept, removed): (Vec<_>, Vec<_>) = known.into_iter().partition(is_wanted);
        if removed.is_empty() && kept.len() == outputs.len() {
            return Ok(removed);
        }
        writer.transaction("change the outputs of", |transaction| {
            let change = || -> rusqlite::Result<()> {
                for cursor in &removed {
                    transaction.execute(
                        "DELETE FROM cursors WHERE output = ? AND stream = ?",
                        params![cursor.output, cursor.stream.code()],
                    )?;
                }
                for ((output, stream, start), end) in outputs.iter().zip(ends) {
                    let is_known = kept
                        .iter()
                        .any(|cursor| cursor.output == *output && cursor.stream == *stream);
                    if !is_known {
                        new_cursor(transaction, output, *stream, *start, end)?
                            .write(transaction)?;
                    }
                }
                Ok(())
            };
            change().map_err(|source| JournalError::sqlite(&path, "change the outputs of", source))
        })?;
        Ok(removed)
    }

    /// Moves an output's cursor forward to `batch`. A cursor never moves back.
    ///
    /// Does not wait for the disk: after a power failure the output may get the last batches again.
    pub fn acknowledge(&self, output: &str, stream: Stream, batch: BatchSeq) -> Result<()> {
        let mut writer = self.log.writer();
        let path = writer.path.clone();
        let batch = batch.min(writer.head());
        writer.lazy_transaction("acknowledge in", |transaction| {
            let sql = |source| JournalError::sqlite(&path, "acknowledge in", source);
            let cursor = read_one(transaction, &path, output, stream)?.ok_or_else(|| {
                JournalError::UnknownOutput {
                    output: output.to_owned(),
                    stream,
                }
            })?;
            if cursor.batch >= batch {
                return Ok(());
            }
            let last = last_sequence_at(transaction, stream, batch).map_err(sql)?;
            let sequence = last.unwrap_or(cursor.sequence).max(cursor.sequence);
            Cursor {
                batch,
                sequence,
                ..cursor
            }
            .write(transaction)
            .map_err(sql)
        })?;
        writer.checkpoint_if_due();
        Ok(())
    }
}
