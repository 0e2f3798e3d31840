//! Statistics of the journal.

use callmeter_records::{Backlog, BatchSeq, Stream};

use crate::error::Result;
use crate::journal::Journal;
use crate::log::accounts::{self, AccountState};
use crate::log::cursor_rows::Cursor;
use crate::log::reader::Reader;
use crate::sqlite::connection::used_bytes;
use crate::sqlite::format;

/// Statistics of a whole journal.
#[derive(Clone, Debug)]
pub struct Stats {
    /// The format of the file.
    pub format: i64,
    /// The oldest batch that retention has not deleted.
    pub oldest: Option<BatchSeq>,
    /// The last appended batch.
    pub head: BatchSeq,
    /// Bytes of the file that are in use.
    pub bytes: u64,
    /// The snapshots of the totals: the last batch that each includes, and its bytes.
    pub snapshots: Vec<(BatchSeq, u64)>,
    /// The records of each stream and account.
    pub streams: Vec<StreamStats>,
    /// How far each account has been read, by name.
    pub accounts: Vec<(String, AccountState)>,
    /// How far each output has acknowledged each stream.
    pub cursors: Vec<(Cursor, Backlog)>,
}

/// Statistics of an account's records in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStats {
    /// The stream.
    pub stream: Stream,
    /// The account.
    pub account: String,
    /// Number of batches.
    pub batches: u64,
    /// Number of records. Each version of a revised call counts.
    pub records: u64,
    /// Bytes of the batches.
    pub bytes: u64,
    /// When the first and the last batch were read: UTC, microseconds.
    pub observed: (i64, i64),
    /// The earliest and the latest start time of a call: UTC, microseconds.
    pub span: Option<(i64, i64)>,
}

impl Reader {
    /// The names of all accounts that the journal has state or records of.
    pub fn account_names(&self) -> Result<Vec<String>> {
        self.conn
            .prepare_cached("SELECT name FROM accounts ORDER BY name")
            .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
            .map_err(|source| self.sql(source))
    }

    /// Statistics of the whole journal. Does not read the records.
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
                None => Err(self.corrupt(format!("some batches have the unknown stream {code}"))),
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
            accounts: accounts::read_all(conn, &self.path)?
                .into_iter()
                .map(|row| (row.name, row.state))
                .collect(),
            cursors,
        })
    }
}

impl Journal {
    /// See [`Reader::stats`].
    pub fn stats(&self) -> Result<Stats> {
        self.log.with_reader(|reader| reader.stats())
    }
}
