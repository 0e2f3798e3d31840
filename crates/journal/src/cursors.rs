//! How far each output has acknowledged each of its streams.

use callmeter_records::{Backlog, BatchSeq, Stream};

use crate::database::connection::Connection;
use crate::database::error::DatabaseResult;
use crate::database::value::values;
use crate::error::{JournalError, Result};
use crate::journal::Journal;
use crate::leases::fence::Fence;
use crate::leases::names::output_lease;
use crate::leases::round::{held_by_others, wanted_by_others};
use crate::log::batch_row::COLUMNS;
use crate::log::cursor_rows::{Cursor, last_sequence_at, read_all, read_one};
use crate::log::head::read_stream;
use crate::log::reader::Reader;
use crate::log::writer::Numbers;

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
const CHANGE: &str = "change the outputs of";
const ACKNOWLEDGE: &str = "acknowledge in";

/// The cursor of a new output. `numbers` are those that come next.
fn new_cursor(
    conn: &Connection,
    output: &str,
    stream: Stream,
    start: Start,
    numbers: &Numbers,
) -> DatabaseResult<Cursor> {
    let last_sequence = numbers.last_sequence(stream);
    let (batch, sequence) = match start {
        Start::Newest => (numbers.head(), last_sequence),
        Start::After(batch) => (batch, last_sequence_at(conn, stream, batch)?.unwrap_or(0)),
        Start::Oldest => {
            // The output does not lose what retention deleted before it was registered.
            let first: Option<i64> = conn.first(
                "SELECT first_sequence FROM batches WHERE stream = ? ORDER BY seq LIMIT 1",
                values![stream.code()],
                |row| row.get(0),
            )?;
            let before = first.map_or(last_sequence, |first| first - 1);
            (BatchSeq::START, before)
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
        read_all(&self.conn)
    }

    /// The cursor of an output for a stream; `None` if it was not registered.
    pub fn cursor(&self, output: &str, stream: Stream) -> Result<Option<Cursor>> {
        read_one(&self.conn, output, stream)
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
            values![cursor.stream.code(), cursor.batch.to_sql()],
        )?;
        let last = read_stream(&self.conn, cursor.stream)? - 1;
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
        if let Some(cursor) = read_one(writer.conn()?, output, stream)? {
            return Ok(cursor);
        }
        writer.transaction(ADD, &Fence::Open, |transaction, numbers| {
            let cursor = new_cursor(transaction, output, stream, start, numbers)
                .and_then(|cursor| cursor.write(transaction).map(|()| cursor));
            cursor.map_err(|source| transaction.failed(ADD, source))
        })
    }

    /// Makes these outputs the only ones, in one transaction: adds the cursors that are missing and
    /// removes all others, so that retention waits for nothing else. Keeps those of outputs that
    /// another instance has: they go when it no longer wants them. Returns the removed cursors.
    pub fn set_outputs(&self, outputs: &[(&str, Stream, Start)]) -> Result<Vec<Cursor>> {
        let mut writer = self.log.writer();
        let known = read_all(writer.conn()?)?;
        let is_wanted = |cursor: &Cursor| {
            outputs
                .iter()
                .any(|(output, stream, _)| *output == cursor.output && *stream == cursor.stream)
        };
        let (kept, mut removed): (Vec<_>, Vec<_>) = known.into_iter().partition(is_wanted);
        if self.is_shared() && !removed.is_empty() {
            let me = self.log.leases().instance().map(|me| me.id);
            let conn = writer.conn()?;
            let sql = |source| conn.failed(CHANGE, source);
            let held = held_by_others(conn, me).map_err(sql)?;
            let wanted = wanted_by_others(conn, me).map_err(sql)?;
            removed.retain(|cursor| {
                let lease = output_lease(&cursor.output);
                let is_here = outputs.iter().any(|(output, ..)| *output == cursor.output);
                !held.contains(&lease) && (is_here || !wanted.contains(&lease))
            });
        }
        if removed.is_empty() && kept.len() == outputs.len() {
            return Ok(removed);
        }
        writer.transaction(CHANGE, &Fence::Open, |transaction, numbers| {
            let change = || -> DatabaseResult<()> {
                for cursor in &removed {
                    transaction.execute(
                        "DELETE FROM cursors WHERE output = ? AND stream = ?",
                        values![&cursor.output, cursor.stream.code()],
                    )?;
                }
                for (output, stream, start) in outputs {
                    let is_known = kept
                        .iter()
                        .any(|cursor| cursor.output == *output && cursor.stream == *stream);
                    if !is_known {
                        new_cursor(transaction, output, *stream, *start, numbers)?
                            .write(transaction)?;
                    }
                }
                Ok(())
            };
            change().map_err(|source| transaction.failed(CHANGE, source))
        })?;
        Ok(removed)
    }

    /// Moves an output's cursor forward to `batch`. A cursor never moves back.
    ///
    /// Does not wait for the disk: after a power failure the output may get the last batches again.
    pub fn acknowledge(&self, output: &str, stream: Stream, batch: BatchSeq) -> Result<()> {
        let fence = self.log.fence(|| output_lease(output));
        let mut writer = self.log.writer();
        writer.lazy_transaction(ACKNOWLEDGE, &fence, |transaction, numbers| {
            let sql = |source| transaction.failed(ACKNOWLEDGE, source);
            let batch = batch.min(numbers.head());
            let cursor = read_one(transaction, output, stream)?.ok_or_else(|| {
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
