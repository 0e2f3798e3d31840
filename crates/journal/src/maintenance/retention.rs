//! Deletes old batches, oldest first, but none that is still needed.

use std::fmt;
use std::time::Duration;

use callmeter_records::{BatchSeq, Stream};

use crate::database::connection::Connection;
use crate::database::error::DatabaseResult;
use crate::database::value::{Value, values};
use crate::error::Result;
use crate::journal::Journal;
use crate::leases::fence::Fence;
use crate::leases::names::{CHARGES_CURSOR, JOURNAL_LEASE};
use crate::log::cursor_rows::{self as cursors, Cursor};
use crate::log::keys::BatchKeys;
use crate::log::reader::oldest_batch;
use crate::log::writer::Writer;
use crate::log::{accounts, epochs};
use crate::maintenance::clock;
use crate::maintenance::room::Room;
use crate::rate_decks;
use crate::utc_day::{DAY, day_of};

/// The most batches that one transaction deletes.
const STEP: i64 = 256;

const DELETE: &str = "delete old batches of";

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

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clock => f.write_str("a clock that has jumped"),
            Self::Snapshot => f.write_str("totals that are not stored yet"),
            Self::Lookback { account } => write!(f, "the look-back of account {account}"),
            Self::Output { output, stream } => {
                write!(
                    f,
                    "output {output}, which has not acknowledged {}",
                    stream.name()
                )
            }
        }
    }
}

/// Records that an output had not acknowledged, by output and stream.
type Lost = (String, Stream, u64);

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
    pub lost: Vec<Lost>,
    /// Bytes that the journal takes now.
    pub bytes: u64,
    /// Why the journal does not meet its policy; `None` if it does.
    pub held_by: Option<Hold>,
    /// The last deleted batch. All before it are deleted too.
    pub last_deleted: Option<BatchSeq>,
}

impl RetentionReport {
    /// Deleted calls.
    fn calls(&self) -> u64 {
        let calls =
            |(stream, records): &(Stream, u64)| (*stream == Stream::Calls).then_some(*records);
        self.records_by_stream.iter().find_map(calls).unwrap_or(0)
    }

    /// Counts what a step deleted, after its transaction.
    fn add(&mut self, dropped: &[OldRow], lost: Vec<Lost>) {
        for row in dropped {
            self.batches += 1;
            self.count(row);
            self.last_deleted = Some(BatchSeq::from_sql(row.seq));
        }
        for (output, stream, records) in lost {
            let same = |known: &&mut Lost| known.0 == output && known.1 == stream;
            match self.lost.iter_mut().find(same) {
                Some((_, _, sum)) => *sum += records,
                None => self.lost.push((output, stream, records)),
            }
        }
    }

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
        let mut room = Room::new(policy.max_bytes);
        let fence = self.log.fence(|| JOURNAL_LEASE.to_owned());
        if let Some(keep) = policy.keep {
            let mut writer = self.log.writer();
            if !clock::is_trusted(&mut writer, &fence, keep, now)? {
                let conn = writer.conn()?;
                report.bytes = room
                    .used(conn)
                    .map_err(|source| conn.failed("read", source))?;
                report.held_by = Some(Hold::Clock);
                return Ok(report);
            }
        }
        loop {
            // Unlocks the writer between steps, so that polls do not wait.
            let mut writer = self.log.writer();
            self.log.clear_tail();
            let calls_before = report.calls();
            let stepped = step(&mut writer, &fence, policy, now, &mut room, &mut report);
            writer.checkpoint_if_due();
            drop(writer);
            // After each step, even one that failed: what is deleted must not stay known.
            if let Some(last) = report.last_deleted {
                let calls = report.calls() - calls_before;
                self.memories.forget_deleted(last.0 + 1, calls);
            }
            if stepped? {
                break;
            }
        }
        Ok(report)
    }
}

/// Deletes up to [`STEP`] batches. True if no more can be deleted.
fn step(
    writer: &mut Writer,
    fence: &Fence,
    policy: &RetentionPolicy,
    now: i64,
    room: &mut Room,
    report: &mut RetentionReport,
) -> Result<bool> {
    let conn = writer.conn()?;
    let sql = |source| conn.failed(DELETE, source);
    let used = room.used(conn).map_err(sql)?;
    report.bytes = used;
    let mut age = Age::new(policy, now);
    let over = policy.max_bytes.is_some_and(|max| used > max);
    let Some((first, observed_at)) = oldest_batch(conn).map_err(sql)? else {
        report.held_by = None;
        return Ok(true);
    };
    let due = age.is_due(conn, first.to_sql(), observed_at);
    if !over && !due.map_err(sql)? {
        report.held_by = None;
        return Ok(true);
    }
    let (last, hold) = last_unneeded(conn, policy)?;
    if first > last {
        report.held_by = hold;
        return Ok(true);
    }
    // By age: all that are due. By size: as many as the excess needs, at least one.
    let excess = policy.max_bytes.map_or(0, |max| used.saturating_sub(max));
    let (dropped, lost) = writer.transaction(DELETE, fence, |transaction, _| {
        let sql = |source| transaction.failed(DELETE, source);
        let mut excess = excess;
        let mut dropped = Vec::new();
        for row in oldest_rows(transaction, last).map_err(sql)? {
            if excess == 0 {
                let due = age.is_due(transaction, row.seq, row.observed_at);
                if !due.map_err(sql)? {
                    break;
                }
            }
            excess = excess.saturating_sub(row.bytes.cast_unsigned());
            dropped.push(row);
        }
        let lost = delete_rows(transaction, &dropped)?;
        Ok((dropped, lost))
    })?;
    room.gain(dropped.iter().map(|row| row.bytes.cast_unsigned()));
    report.add(&dropped, lost);
    tracing::debug!(batches = dropped.len(), observed_at, "deleted old batches");
    let conn = writer.conn()?;
    conn.return_space()
        .map_err(|source| conn.failed(DELETE, source))?;
    Ok(dropped.is_empty())
}

/// Which batches are older than `keep`.
///
/// A batch that was read in the future was read while the clock was wrong. It is as old as the next
/// batch that was not; otherwise it would keep all later ones.
struct Age {
    now: i64,
    before: Option<i64>,
    /// The last batch that was looked up for one in the future: its `seq` and `observed_at`.
    plausible: Option<(i64, i64)>,
}

impl Age {
    fn new(policy: &RetentionPolicy, now: i64) -> Self {
        let before = policy
            .keep
            .map(|keep| now.saturating_sub(i64::try_from(keep.as_micros()).unwrap_or(i64::MAX)));
        Self {
            now,
            before,
            plausible: None,
        }
    }

    fn is_due(&mut self, conn: &Connection, seq: i64, observed_at: i64) -> DatabaseResult<bool> {
        let Some(before) = self.before else {
            return Ok(false);
        };
        if observed_at <= self.now {
            return Ok(observed_at < before);
        }
        if self.plausible.is_none_or(|(plausible, _)| plausible < seq) {
            self.plausible = conn.first(
                "SELECT seq, observed_at FROM batches WHERE seq > ? AND observed_at <= ?
                 ORDER BY seq LIMIT 1",
                values![seq, self.now],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
        }
        Ok(self.plausible.is_some_and(|(_, next)| next < before))
    }
}

/// A batch that retention may delete.
struct OldRow {
    seq: i64,
    stream: u8,
    account: i64,
    rows: i64,
    first_sequence: i64,
    observed_at: i64,
    /// The latest start of its calls.
    max_start: Option<i64>,
    bytes: i64,
}

fn oldest_rows(transaction: &Connection, last: BatchSeq) -> DatabaseResult<Vec<OldRow>> {
    transaction.all(
        "SELECT seq, stream, account, rows, first_sequence, observed_at, max_start,
         length(keys) + length(payload) FROM batches WHERE seq <= ? ORDER BY seq LIMIT ?",
        values![last.to_sql(), STEP],
        |row| {
            Ok(OldRow {
                seq: row.get(0)?,
                stream: row.get(1)?,
                account: row.get(2)?,
                rows: row.get(3)?,
                first_sequence: row.get(4)?,
                observed_at: row.get(5)?,
                max_start: row.get(6)?,
                bytes: row.get(7)?,
            })
        },
    )
}

fn delete_rows(transaction: &Connection, dropped: &[OldRow]) -> Result<Vec<Lost>> {
    let sql = |source| transaction.failed(DELETE, source);
    let is_of_decks =
        |row: &&OldRow| row.stream == Stream::Rates.code() || row.stream == Stream::Billing.code();
    let decks = dropped.iter().filter(is_of_decks);
    let decks: Vec<_> = decks.map(|row| (row.account, row.seq)).collect();
    rate_decks::keep(transaction, &decks)?;
    let mut cursors = cursors::read_all(transaction)?;
    let mut lost_records = Vec::new();
    for row in dropped {
        transaction
            .execute("DELETE FROM batches WHERE seq = ?", values![row.seq])
            .map_err(sql)?;
        if let Some(last_start) = row.max_start {
            forget(transaction, row.account, last_start.saturating_add(1))?;
        }
        for cursor in cursors.iter_mut().filter(|cursor| is_lost_to(cursor, row)) {
            let lost = row.rows.cast_unsigned();
            cursor.lost += lost;
            cursor.batch = BatchSeq::from_sql(row.seq);
            cursor.sequence = row.first_sequence + row.rows - 1;
            cursor.write(transaction).map_err(sql)?;
            lost_records.push((cursor.output.clone(), cursor.stream, lost));
        }
    }
    if let Some(last) = dropped.last() {
        epochs::delete_before(transaction, last.seq + 1).map_err(sql)?;
        // Balances of old periods do not come again, and nothing refers to deleted charges. Rates
        // and billing do come again.
        transaction
            .execute(
                "DELETE FROM latest WHERE stream IN (?, ?) AND batch <= ?",
                values![Stream::Balances.code(), Stream::Charges.code(), last.seq],
            )
            .map_err(sql)?;
    }
    Ok(lost_records)
}

fn is_lost_to(cursor: &Cursor, row: &OldRow) -> bool {
    cursor.stream.code() == row.stream && cursor.batch.to_sql() < row.seq
}

/// Stores that calls which started before a time may have been deleted.
fn forget(transaction: &Connection, account: i64, before: i64) -> Result<()> {
    let Some(mut row) = accounts::read_by_id(transaction, account)? else {
        return Ok(());
    };
    if row.forgotten_before.is_none_or(|known| known < before) {
        row.forgotten_before = Some(before);
        row.write(transaction)
            .map_err(|source| transaction.failed(DELETE, source))?;
    }
    Ok(())
}

/// The last batch that is not needed, and why the next one is.
fn last_unneeded(conn: &Connection, policy: &RetentionPolicy) -> Result<(BatchSeq, Option<Hold>)> {
    let sql = |source| conn.failed(DELETE, source);
    let counted: Option<i64> = conn
        .only("SELECT max(seq) FROM snapshots", values![], |row| {
            row.get(0)
        })
        .map_err(sql)?;
    let mut last = counted.unwrap_or(0);
    let mut hold = Some(Hold::Snapshot);
    for account in accounts::read_all(conn)? {
        let Some(horizon) = account
            .horizon
            .filter(|_| policy.accounts.contains(&account.name))
        else {
            continue;
        };
        // Needed are batches with calls that started after the horizon. A call is read after it
        // started, so that is not so of a batch that was read before; but only the days of its
        // calls count if it was read while the clock was ahead.
        let first_day = day_of(horizon).saturating_sub(1);
        // A server would look for `min(seq)` itself among all batches, from the oldest one on.
        let needed = first_seq(
            conn,
            "SELECT min(seq + 0) FROM batches
             WHERE account = ? AND last_day >= ? AND observed_at >= ?",
            values![account.id, first_day, horizon.saturating_sub(DAY)],
        )
        .map_err(sql)?;
        if let Some(needed) = needed.filter(|needed| *needed <= last) {
            last = needed - 1;
            hold = Some(Hold::Lookback {
                account: account.name,
            });
        }
    }
    if !policy.drop_unacknowledged {
        for cursor in cursors::read_all(conn)? {
            let unacknowledged = first_seq(
                conn,
                "SELECT min(seq) FROM batches WHERE stream = ? AND seq > ?",
                values![cursor.stream.code(), cursor.batch.to_sql()],
            )
            .map_err(sql)?;
            let revised = match unacknowledged {
                Some(_) if cursor.output.starts_with(CHARGES_CURSOR) => {
                    first_revised(conn, cursor.batch).map_err(sql)?
                }
                _ => None,
            };
            let needed = unacknowledged.into_iter().chain(revised).min();
            if let Some(seq) = needed.filter(|seq| *seq <= last) {
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

/// The first batch whose calls were revised after `batch`: its charges are needed until these
/// revisions are charged.
fn first_revised(conn: &Connection, batch: BatchSeq) -> DatabaseResult<Option<i64>> {
    let mut first = None;
    conn.for_each(
        "SELECT keys FROM batches WHERE stream = ? AND seq > ?",
        values![Stream::Calls.code(), batch.to_sql()],
        |row| {
            // Whoever charges a batch with damaged keys gets the error.
            let keys = BatchKeys::decode(row.get(0)?).unwrap_or_default();
            let revised = keys.revised.iter().map(|(_, before)| before.batch.into());
            first = first.into_iter().chain(revised).min();
            DatabaseResult::Ok(())
        },
    )?;
    Ok(first)
}

fn first_seq(conn: &Connection, sql: &str, values: &[Value<'_>]) -> DatabaseResult<Option<i64>> {
    conn.only(sql, values, |row| row.get(0))
}
