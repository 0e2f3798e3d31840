//! Deletes old batches, oldest first, but none that is still needed.

use std::path::Path;
use std::time::Duration;

use callmeter_records::{BatchSeq, Stream};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::cursors::{self, Cursor};
use crate::error::{JournalError, Result};
use crate::journal::Journal;
use crate::log::writer::Writer;
use crate::log::{accounts, epochs};
use crate::maintenance::clock;
use crate::sqlite::connection::used_bytes;
use crate::utc_day::DAY;

/// The most batches that one transaction deletes.
const STEP: i64 = 256;

/// Which batches retention keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Batches that were read longer ago than this are deleted. `None`: age does not matter.
    pub keep: Option<Duration>,
    /// The oldest batches are deleted while the journal takes more bytes than this. `None`: no
    /// limit.
    pub max_bytes: Option<u64>,
    /// Whether batches that an output has not acknowledged are deleted too. They count as lost to
    /// it.
    pub drop_unacknowledged: bool,
    /// The configured accounts. Batches within their lookback are kept; otherwise calls would count
    /// twice.
    pub accounts: Vec<String>,
}

/// Why the oldest batch cannot be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The clock has jumped by more than half of `keep` since the last decision. Retention waits
    /// until it is set right, or has gone on for a day.
    Clock,
    /// No snapshot of the totals includes it.
    Snapshot,
    /// It is within the lookback of an account.
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

/// What retention deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionReport {
    /// Deleted batches.
    pub batches: u64,
    /// Deleted records.
    pub records: u64,
    /// Deleted records, by stream.
    pub records_by_stream: Vec<(Stream, u64)>,
    /// Deleted records that an output had not acknowledged, by output and stream.
    pub lost: Vec<(String, Stream, u64)>,
    /// Bytes that the journal takes now.
    pub bytes: u64,
    /// Why the journal does not meet its policy; `None` if it does.
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
    /// Deletes the batches that `policy` does not keep at `now` (UTC, microseconds). Deletes
    /// nothing if the clock has jumped: see [`Hold::Clock`].
    pub fn retain(&self, policy: &RetentionPolicy, now: i64) -> Result<RetentionReport> {
        let mut report = RetentionReport::default();
        if let Some(keep) = policy.keep {
            let mut writer = self.log.writer();
            if !clock::is_trusted(&mut writer, keep, now)? {
                report.bytes = used_bytes(&writer.conn)
                    .map_err(|source| JournalError::sqlite(self.path(), "read", source))?;
                report.held_by = Some(Hold::Clock);
                return Ok(report);
            }
        }
        loop {
            // Unlocks the writer between steps, so that polls do not wait.
            let mut writer = self.log.writer();
            self.log.clear_tail();
            let done = step(&mut writer, policy, now, &mut report)?;
            writer.checkpoint_if_due();
            if done {
                break;
            }
        }
        if report.batches > 0 {
            self.forget_deleted(&report)?;
        }
        Ok(report)
    }

    /// Removes the deleted calls from the known ids.
    fn forget_deleted(&self, report: &RetentionReport) -> Result<()> {
        let oldest = self.log.with_reader(|reader| reader.oldest())?;
        let first_kept = oldest.map_or(self.head().0 + 1, |oldest| oldest.0);
        let calls = report
            .records_by_stream
            .iter()
            .find(|(stream, _)| *stream == Stream::Calls)
            .map_or(0, |(_, records)| *records);
        self.memories.forget_deleted(
            u32::try_from(first_kept).unwrap_or(u32::MAX),
            usize::try_from(calls).unwrap_or(usize::MAX),
        );
        Ok(())
    }
}

/// Deletes up to [`STEP`] batches. True if no more can be deleted.
fn step(
    writer: &mut Writer,
    policy: &RetentionPolicy,
    now: i64,
    report: &mut RetentionReport,
) -> Result<bool> {
    let path = writer.path.clone();
    let sql = |source| JournalError::sqlite(&path, "delete old batches of", source);
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
    let (last, hold) = last_unneeded(&writer.conn, &path, policy)?;
    if first > last {
        report.held_by = hold;
        return Ok(true);
    }
    // By age: all that are due. By size: as many as the excess needs, at least one.
    let mut excess = policy.max_bytes.map_or(0, |max| used.saturating_sub(max));
    let dropped = writer.transaction("delete old batches of", |transaction| {
        let mut dropped = Vec::new();
        for row in oldest_rows(transaction, last).map_err(sql)? {
            if !is_due(row.observed_at) && excess == 0 {
                break;
            }
            excess = excess.saturating_sub(row.bytes.cast_unsigned());
            dropped.push(row);
        }
        delete_rows(transaction, &path, &dropped, report)?;
        Ok(dropped.len())
    })?;
    tracing::debug!(batches = dropped, observed_at, "deleted old batches");
    // Returns free pages at the end of the file to the file system.
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

/// A batch that retention may delete.
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

fn delete_rows(
    transaction: &Transaction<'_>,
    path: &Path,
    dropped: &[OldRow],
    report: &mut RetentionReport,
) -> Result<()> {
    let sql = |source| JournalError::sqlite(path, "delete old batches of", source);
    let mut cursors = cursors::read_all(transaction, path)?;
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
        for cursor in cursors.iter_mut().filter(|cursor| is_lost_to(cursor, row)) {
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
        epochs::delete_before(transaction, last.seq + 1).map_err(sql)?;
        // Balances of old periods do not come again. Rates and billing do.
        transaction
            .prepare_cached("DELETE FROM latest WHERE stream = ? AND batch <= ?")
            .and_then(|mut statement| statement.execute(params![Stream::Balances.code(), last.seq]))
            .map_err(sql)?;
    }
    Ok(())
}

fn is_lost_to(cursor: &Cursor, row: &OldRow) -> bool {
    cursor.stream.code() == row.stream && cursor.batch.to_sql() < row.seq
}

/// Stores that calls which started before a time may have been deleted.
fn forget(transaction: &Transaction<'_>, path: &Path, account: i64, before: i64) -> Result<()> {
    let Some(mut row) = accounts::read_by_id(transaction, path, account)? else {
        return Ok(());
    };
    if row.forgotten_before.is_none_or(|known| known < before) {
        row.forgotten_before = Some(before);
        row.write(transaction)
            .map_err(|source| JournalError::sqlite(path, "delete old batches of", source))?;
    }
    Ok(())
}

/// The last batch that is not needed, and why the next one is.
fn last_unneeded(
    conn: &Connection,
    path: &Path,
    policy: &RetentionPolicy,
) -> Result<(BatchSeq, Option<Hold>)> {
    let sql = |source| JournalError::sqlite(path, "delete old batches of", source);
    let counted: Option<i64> = conn
        .query_row("SELECT max(seq) FROM snapshots", [], |row| row.get(0))
        .map_err(sql)?;
    let mut last = counted.unwrap_or(0);
    let mut hold = Some(Hold::Snapshot);
    for account in accounts::read_all(conn, path)? {
        let Some(horizon) = account
            .horizon
            .filter(|_| policy.accounts.contains(&account.name))
        else {
            continue;
        };
        // A call is read after it started: a batch read before the horizon has no call that started
        // after it.
        let needed =
            first_seq(conn, "observed_at >= ?", horizon.saturating_sub(DAY)).map_err(sql)?;
        if let Some(needed) = needed.filter(|needed| *needed <= last) {
            last = needed - 1;
            hold = Some(Hold::Lookback {
                account: account.name,
            });
        }
    }
    if !policy.drop_unacknowledged {
        for cursor in cursors::read_all(conn, path)? {
            let condition = format!("stream = {} AND seq > ?", cursor.stream.code());
            let unacknowledged = first_seq(conn, &condition, cursor.batch.to_sql()).map_err(sql)?;
            if let Some(seq) = unacknowledged.filter(|seq| *seq <= last) {
                last = seq - 1;
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
