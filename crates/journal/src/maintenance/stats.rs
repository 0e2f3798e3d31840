//! Statistics of the journal.

use callmeter_records::{Backlog, BatchSeq, Stream};

use crate::database::value::values;
use crate::error::Result;
use crate::journal::Journal;
use crate::log::accounts::{self, AccountState};
use crate::log::cursor_rows::Cursor;
use crate::log::head;
use crate::log::reader::Reader;

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
            .all(
                "SELECT name FROM accounts ORDER BY name",
                values![],
                |row| row.get(0),
            )
            .map_err(|source| self.sql(source))
    }

    /// Bytes that the files of a server's tables take, those of deleted rows included.
    pub(crate) fn server_bytes(&self) -> Result<Option<u64>> {
        self.conn
            .server_file_bytes()
            .map_err(|source| self.sql(source))
    }

    /// Statistics of the whole journal. Does not read the records.
    pub fn stats(&self) -> Result<Stats> {
        let sql = |source| self.sql(source);
        let conn = &self.conn;
        let streams: Vec<(u8, StreamStats)> = conn
            .all(
                "SELECT b.stream, a.name, count(*), CAST(sum(b.rows) AS BIGINT),
                 sum(length(b.keys) + length(b.payload)), min(b.observed_at), max(b.observed_at),
                 min(b.min_start), max(b.max_start) FROM batches b
                 JOIN accounts a ON a.id = b.account GROUP BY b.stream, a.name
                 ORDER BY b.stream, a.name",
                values![],
                |row| {
                    let span: (Option<i64>, Option<i64>) = (row.get(7)?, row.get(8)?);
                    let stats = StreamStats {
                        stream: Stream::Calls,
                        account: row.get(1)?,
                        batches: row.get::<i64>(2)?.cast_unsigned(),
                        records: row.get::<i64>(3)?.cast_unsigned(),
                        bytes: row.get::<i64>(4)?.cast_unsigned(),
                        observed: (row.get(5)?, row.get(6)?),
                        span: span.0.zip(span.1),
                    };
                    Ok((row.get(0)?, stats))
                },
            )
            .map_err(sql)?;
        let streams = streams
            .into_iter()
            .map(|(code, stats)| match Stream::from_code(code) {
                Some(stream) => Ok(StreamStats { stream, ..stats }),
                None => Err(self.corrupt(format!("some batches have the unknown stream {code}"))),
            })
            .collect::<Result<_>>()?;
        let snapshots = conn
            .all(
                "SELECT seq, length(data) FROM snapshots ORDER BY seq",
                values![],
                |row| {
                    let bytes = row.get::<i64>(1)?.cast_unsigned();
                    Ok((BatchSeq::from_sql(row.get(0)?), bytes))
                },
            )
            .map_err(sql)?;
        let cursors = self
            .cursors()?
            .into_iter()
            .map(|cursor| {
                let backlog = self.backlog_of(&cursor)?;
                Ok((cursor, backlog))
            })
            .collect::<Result<_>>()?;
        Ok(Stats {
            format: head::FORMAT,
            oldest: self.oldest()?,
            head: self.head()?,
            bytes: conn.used_bytes().map_err(sql)?,
            snapshots,
            streams,
            accounts: accounts::read_all(conn)?
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
