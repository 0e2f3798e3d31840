//! Dropping old batches, oldest first; never what somebody still needs.

use std::path::Path;
use std::time::Duration;

use callmeter_records::Stream;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::account;
use crate::error::{JournalError, Result};
use crate::outputs::{self, Cursor};
use crate::time::DAY;
use crate::writer::Writer;
use crate::{BatchSeq, Journal};

/// Batches that one transaction drops.
const STEP: i64 = 256;

/// How long and how much the journal keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Batches read longer ago than this are dropped.
    pub keep: Option<Duration>,
    /// While the journal takes more bytes than this, its oldest batches are dropped.
    pub max_bytes: Option<u64>,
    /// Whether also those are dropped that an output has not acknowledged. They are then counted as lost to it.
    pub drop_owed: bool,
    /// The configured accounts: what their polls may ask for again is kept, for without it calls would count twice.
    pub accounts: Vec<String>,
}

/// Who keeps the oldest batch from being dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// No snapshot of the totals counts it yet.
    Snapshot,
    /// An account's lookback reaches that far.
    Lookback {
        /// The account.
        account: String,
    },
    /// An output has not acknowledged it.
    Output {
        /// The output.
        output: String,
        /// The stream.
        stream: Stream,
    },
}

/// What retention did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Batches dropped.
    pub batches: u64,
    /// Records dropped.
    pub records: u64,
    /// Records dropped, by stream.
    pub records_by_stream: Vec<(Stream, u64)>,
    /// Records dropped that an output had not acknowledged, by output and stream.
    pub lost: Vec<(String, Stream, u64)>,
    /// Bytes that the journal takes now.
    pub bytes: u64,
    /// Who keeps the journal from meeting its policy, if it does not.
    pub held_by: Option<Hold>,
}

impl RetentionReport {
    fn count(&mut self, row: &OldRow) {
        let records = row.rows.cast_unsigned();
        self.records += records;
        // A later version may have written a stream that this one does not know.
        let Some(stream) = Stream::from_code(row.stream) else {
            return;
        };
        match self
            .records_by_stream
            .iter_mut()
            .find(|(known, _)| *known == stream)
        {
            Some((_, sum)) => *sum += records,
            None => self.records_by_stream.push((stream, records)),
        }
    }
}

impl Journal {
    /// Drops what `policy` no longer keeps, as of `now` (UTC, microseconds).
    pub fn retain(&self, policy: &RetentionPolicy, now: i64) -> Result<RetentionReport> {
        let mut report = RetentionReport::default();
        loop {
            // The writer is given back between steps, so that polls are not held up.
            let mut writer = self.writer();
            self.clear_tail();
            let done = step(&mut writer, policy, now, &mut report)?;
            writer.checkpoint_if_due();
            if done {
                return Ok(report);
            }
        }
    }
}

/// Drops up to [`STEP`] batches; true if there was nothing left to drop.
fn step(
    writer: &mut Writer,
    policy: &RetentionPolicy,
    now: i64,
    report: &mut RetentionReport,
) -> Result<bool> {
    let path = writer.path.clone();
    let sql = |source| JournalError::sqlite(&path, "drop batches of", source);
    let used = used_bytes(&writer.conn).map_err(sql)?;
    report.bytes = used;
    let expired_before = policy
        .keep
        .map(|keep| now.saturating_sub(i64::try_from(keep.as_micros()).unwrap_or(i64::MAX)));
    let oldest = oldest_batch(&writer.conn).map_err(sql)?;
    let over = |used: u64| policy.max_bytes.is_some_and(|max| used > max);
    let is_due = |observed_at: i64| expired_before.is_some_and(|before| observed_at < before);
    let Some((first, observed_at)) =
        oldest.filter(|(_, observed_at)| over(used) || is_due(*observed_at))
    else {
        report.held_by = None;
        return Ok(true);
    };
    let (last, hold) = last_free(&writer.conn, &path, policy)?;
    if first > last {
        report.held_by = hold;
        return Ok(true);
    }
    // By age: all that are due. By size: as many as make up for what is too much, at the least one.
    let mut excess = policy.max_bytes.map_or(0, |max| used.saturating_sub(max));
    let dropped = writer.transaction("drop batches of", |transaction| {
        let mut dropped = Vec::new();
        for row in oldest_rows(transaction, last).map_err(sql)? {
            if !is_due(row.observed_at) && excess == 0 {
                break;
            }
            excess = excess.saturating_sub(row.bytes.cast_unsigned());
            dropped.push(row);
        }
        drop_rows(transaction, &path, &dropped, report)?;
        Ok(dropped.len())
    })?;
    tracing::debug!(batches = dropped, observed_at, "old batches were dropped");
    // What was freed goes back to the file system, as far as it lies at the file's end.
    writer
        .conn
        .prepare("PRAGMA incremental_vacuum(4096)")
        .and_then(|mut statement| {
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        })
        .map_err(sql)?;
    Ok(dropped == 0)
}

/// A batch that is to be dropped.
struct OldRow {
    seq: i64,
    stream: u8,
    account: i64,
    rows: i64,
    first_sequence: i64,
    observed_at: i64,
    last_day: Option<i64>,
    bytes: i64,
}

fn oldest_rows(transaction: &Transaction<'_>, last: BatchSeq) -> rusqlite::Result<Vec<OldRow>> {
    transaction
        .prepare_cached(
            "SELECT seq, stream, account, rows, first_sequence, observed_at, last_day,
             length(keys) + length(payload) FROM batches WHERE seq <= ? ORDER BY seq LIMIT ?",
        )?
        .query_map(params![last.to_sql(), STEP], |row| {
            Ok(OldRow {
                seq: row.get(0)?,
                stream: row.get(1)?,
                account: row.get(2)?,
                rows: row.get(3)?,
                first_sequence: row.get(4)?,
                observed_at: row.get(5)?,
                last_day: row.get(6)?,
                bytes: row.get(7)?,
            })
        })?
        .collect()
}

fn drop_rows(
    transaction: &Transaction<'_>,
    path: &Path,
    dropped: &[OldRow],
    report: &mut RetentionReport,
) -> Result<()> {
    let sql = |source| JournalError::sqlite(path, "drop batches of", source);
    let mut cursors = outputs::read_all(transaction, path)?;
    for row in dropped {
        transaction
            .prepare_cached("DELETE FROM batches WHERE seq = ?")
            .and_then(|mut statement| statement.execute([row.seq]))
            .map_err(sql)?;
        report.batches += 1;
        report.count(row);
        if let Some(day) = row.last_day {
            forget(
                transaction,
                path,
                row.account,
                (day + 1).saturating_mul(DAY),
            )?;
        }
        for cursor in cursors.iter_mut().filter(|cursor| owes(cursor, row)) {
            let lost = row.rows.cast_unsigned();
            cursor.lost += lost;
            cursor.batch = BatchSeq::from_sql(row.seq);
            cursor.sequence = row.first_sequence + row.rows - 1;
            cursor.write(transaction).map_err(sql)?;
            match report
                .lost
                .iter_mut()
                .find(|(output, stream, _)| *output == cursor.output && *stream == cursor.stream)
            {
                Some((_, _, records)) => *records += lost,
                None => report
                    .lost
                    .push((cursor.output.clone(), cursor.stream, lost)),
            }
        }
    }
    if let Some(last) = dropped.last() {
        // A balance of a period that is long over is not compared with again; rates and billing are.
        transaction
            .prepare_cached("DELETE FROM latest WHERE stream = ? AND batch <= ?")
            .and_then(|mut statement| statement.execute(params![Stream::Balances.code(), last.seq]))
            .map_err(sql)?;
    }
    Ok(())
}

fn owes(cursor: &Cursor, row: &OldRow) -> bool {
    cursor.stream.code() == row.stream && cursor.batch.to_sql() < row.seq
}

/// Notes that calls which began before a time may be known no more.
fn forget(transaction: &Transaction<'_>, path: &Path, account: i64, before: i64) -> Result<()> {
    let Some(mut row) = account::read_by_id(transaction, path, account)? else {
        return Ok(());
    };
    if row.forgotten_before.is_none_or(|known| known < before) {
        row.forgotten_before = Some(before);
        row.write(transaction)
            .map_err(|source| JournalError::sqlite(path, "drop batches of", source))?;
    }
    Ok(())
}

/// The last batch that nobody needs any more, and who needs the one after it.
fn last_free(
    conn: &Connection,
    path: &Path,
    policy: &RetentionPolicy,
) -> Result<(BatchSeq, Option<Hold>)> {
    let sql = |source| JournalError::sqlite(path, "drop batches of", source);
    let counted: Option<i64> = conn
        .query_row("SELECT max(seq) FROM snapshots", [], |row| row.get(0))
        .map_err(sql)?;
    let mut last = counted.unwrap_or(0);
    let mut hold = Some(Hold::Snapshot);
    for account in account::read_all(conn, path)? {
        let Some(horizon) = account
            .horizon
            .filter(|_| policy.accounts.contains(&account.name))
        else {
            continue;
        };
        // A call is read after it began: what was read before the horizon holds no call that began after it.
        let needed =
            first_seq(conn, "observed_at >= ?", horizon.saturating_sub(DAY)).map_err(sql)?;
        if let Some(needed) = needed.filter(|needed| *needed <= last) {
            last = needed - 1;
            hold = Some(Hold::Lookback {
                account: account.name,
            });
        }
    }
    if !policy.drop_owed {
        for cursor in outputs::read_all(conn, path)? {
            let condition = format!("stream = {} AND seq > ?", cursor.stream.code());
            let owed = first_seq(conn, &condition, cursor.batch.to_sql()).map_err(sql)?;
            if let Some(owed) = owed.filter(|owed| *owed <= last) {
                last = owed - 1;
                hold = Some(Hold::Output {
                    output: cursor.output,
                    stream: cursor.stream,
                });
            }
        }
    }
    Ok((BatchSeq::from_sql(last), hold))
}

fn first_seq(conn: &Connection, condition: &str, value: i64) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached(&format!("SELECT min(seq) FROM batches WHERE {condition}"))?
        .query_row([value], |row| row.get(0))
}

fn oldest_batch(conn: &Connection) -> rusqlite::Result<Option<(BatchSeq, i64)>> {
    conn.prepare_cached("SELECT seq, observed_at FROM batches ORDER BY seq LIMIT 1")?
        .query_row([], |row| Ok((BatchSeq::from_sql(row.get(0)?), row.get(1)?)))
        .optional()
}

/// Bytes of the pages that are in use.
pub(crate) fn used_bytes(conn: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name: &str| -> rusqlite::Result<i64> {
        conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
    };
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok(pages.saturating_mul(pragma("page_size")?).cast_unsigned())
}
