//! What is in the journal, in figures.

use callmeter_records::{Backlog, Stream};

use crate::error::Result;
use crate::outputs::Cursor;
use crate::reader::Reader;
use crate::retention::used_bytes;
use crate::{AccountState, BatchSeq, account, format};

/// Figures of a whole journal.
#[derive(Clone, Debug)]
pub struct Stats {
    /// The format of the file.
    pub format: i64,
    /// The oldest batch that is there.
    pub oldest: Option<BatchSeq>,
    /// The last batch that was appended.
    pub head: BatchSeq,
    /// Bytes that are in use.
    pub bytes: u64,
    /// The batches up to which the kept snapshots of the totals count, and their bytes.
    pub snapshots: Vec<(BatchSeq, u64)>,
    /// By stream and account.
    pub streams: Vec<StreamStats>,
    /// How far each account has been read, by name.
    pub accounts: Vec<(String, AccountState)>,
    /// How far each output has come, by name and stream.
    pub cursors: Vec<(Cursor, Backlog)>,
}

/// Figures of an account's records in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStats {
    /// The stream.
    pub stream: Stream,
    /// The account.
    pub account: String,
    /// Batches.
    pub batches: u64,
    /// Records: rows, so a revised call is there once for each version.
    pub records: u64,
    /// Bytes.
    pub bytes: u64,
    /// When the first and the last were read: UTC, microseconds.
    pub observed: (i64, i64),
    /// The earliest and the latest start of a call: UTC, microseconds.
    pub span: Option<(i64, i64)>,
}

impl Reader {
    /// Figures of the whole journal. Reads what stands beside the batches, not the records.
    pub fn stats(&self) -> Result<Stats> {
        let sql = |source| self.sql(source);
        let conn = &self.conn;
        let streams = || -> rusqlite::Result<Vec<(u8, StreamStats)>> {
            conn.prepare_cached(
                "SELECT b.stream, a.name, count(*), sum(b.rows), sum(length(b.keys) + length(b.payload)),
                 min(b.observed_at), max(b.observed_at), min(b.min_start), max(b.max_start)
                 FROM batches b JOIN accounts a ON a.id = b.account GROUP BY b.stream, a.name ORDER BY b.stream, a.name",
            )?
            .query_map([], |row| {
                let span: (Option<i64>, Option<i64>) = (row.get(7)?, row.get(8)?);
                let stats = StreamStats {
                    stream: Stream::Calls,
                    account: row.get(1)?,
                    batches: row.get::<_, i64>(2)?.cast_unsigned(),
                    records: row.get::<_, i64>(3)?.cast_unsigned(),
                    bytes: row.get::<_, i64>(4)?.cast_unsigned(),
                    observed: (row.get(5)?, row.get(6)?),
                    span: span.0.zip(span.1),
                };
                Ok((row.get(0)?, stats))
            })?
            .collect()
        };
        let streams = streams()
            .map_err(sql)?
            .into_iter()
            .map(|(code, stats)| match Stream::from_code(code) {
                Some(stream) => Ok(StreamStats { stream, ..stats }),
                None => {
                    Err(self.corrupt(format!("there are batches of the unknown stream {code}")))
                }
            })
            .collect::<Result<_>>()?;
        let snapshots = || -> rusqlite::Result<Vec<_>> {
            conn.prepare_cached("SELECT seq, length(data) FROM snapshots ORDER BY seq")?
                .query_map([], |row| {
                    Ok((
                        BatchSeq::from_sql(row.get(0)?),
                        row.get::<_, i64>(1)?.cast_unsigned(),
                    ))
                })?
                .collect()
        };
        let cursors = self
            .cursors()?
            .into_iter()
            .map(|cursor| {
                let backlog = self.backlog_of(&cursor)?;
                Ok((cursor, backlog))
            })
            .collect::<Result<_>>()?;
        Ok(Stats {
            format: format::VERSION,
            oldest: self.oldest()?,
            head: self.head()?,
            bytes: used_bytes(conn).map_err(sql)?,
            snapshots: snapshots().map_err(sql)?,
            streams,
            accounts: account::read_all(conn, &self.path)?
                .into_iter()
                .map(|row| (row.name, row.state))
                .collect(),
            cursors,
        })
    }
}
