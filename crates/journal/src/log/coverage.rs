//! How far each day of an account's calls has been read: the table `coverage`.

use crate::checksum::RowChecksum;
use crate::database::connection::Connection;
use crate::database::error::DatabaseResult;
use crate::database::row::Row;
use crate::database::upsert::upsert;
use crate::database::value::values;
use crate::error::Result;

/// How far one day of an account's calls has been read. Times are UTC microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayCoverage {
    /// Days since 1970-01-01 in the account's own calendar.
    pub day: i32,
    /// When the last reading started that proved the day complete; `None` if none did.
    pub proven_at: Option<i64>,
    /// The rows that the server counted in the last reading, if it counts.
    pub stated: Option<u64>,
    /// The calls that started on the day, by the last reading that proved it.
    pub received: u64,
    /// Calls of the last reading that had not settled.
    pub waiting: u64,
    /// When the first of them settles.
    pub waits_until: Option<i64>,
    /// When the day is to be read again.
    pub due_at: i64,
    /// Whether an operator asked for the day.
    pub asked: bool,
    /// Readings that failed since one succeeded.
    pub failures: u32,
    /// Why the last reading failed, without secrets and personal data.
    pub failure: Option<String>,
    /// Where the last reading was interrupted.
    pub position: Option<WalkPosition>,
}

/// Where the pages of a day were interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalkPosition {
    /// The number of the page received last.
    pub page: i64,
    /// Rows on the pages before it.
    pub rows: u64,
    /// The server's count at that time.
    pub count: Option<u64>,
}

/// The days whose coverage changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoverageChange {
    /// Days to store, or to replace.
    pub changed: Vec<DayCoverage>,
    /// Days of which nothing more is expected.
    pub removed: Vec<i32>,
}

impl CoverageChange {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }
}

const COLUMNS: &str = "day, proven_at, stated, received, waiting, waits_until, due_at, asked, \
    failures, failure, page, page_rows, page_count";

impl DayCoverage {
    fn checksum(&self, account: i64) -> i64 {
        let position = self.position;
        RowChecksum::of("coverage")
            .int(account)
            .int(self.day.into())
            .optional(self.proven_at)
            .optional(self.stated.map(u64::cast_signed))
            .int(self.received.cast_signed())
            .int(self.waiting.cast_signed())
            .optional(self.waits_until)
            .int(self.due_at)
            .int(self.asked.into())
            .int(self.failures.into())
            .text(self.failure.as_deref().unwrap_or_default())
            .int(self.failure.is_some().into())
            .optional(position.map(|position| position.page))
            .optional(position.map(|position| position.rows.cast_signed()))
            .optional(position.and_then(|position| position.count.map(u64::cast_signed)))
            .finish()
    }

    pub(crate) fn write(&self, conn: &Connection, account: i64) -> DatabaseResult<()> {
        let position = self.position;
        conn.execute(
            upsert!("coverage" ("account", "day") "proven_at", "stated", "received", "waiting",
                "waits_until", "due_at", "asked", "failures", "failure", "page", "page_rows",
                "page_count"),
            values![
                account,
                self.day,
                self.proven_at,
                self.stated.map(u64::cast_signed),
                self.received.cast_signed(),
                self.waiting.cast_signed(),
                self.waits_until,
                self.due_at,
                self.asked,
                self.failures,
                self.failure.as_deref(),
                position.map(|position| position.page),
                position.map(|position| position.rows.cast_signed()),
                position.and_then(|position| position.count.map(u64::cast_signed)),
                self.checksum(account)
            ],
        )?;
        Ok(())
    }

    fn read(row: &Row<'_>) -> DatabaseResult<(Self, i64)> {
        let count =
            |index| -> DatabaseResult<u64> { row.get::<i64>(index).map(i64::cast_unsigned) };
        let position = match (row.get(10)?, row.get::<Option<i64>>(11)?) {
            (Some(page), Some(rows)) => Some(WalkPosition {
                page,
                rows: rows.cast_unsigned(),
                count: row.get::<Option<i64>>(12)?.map(i64::cast_unsigned),
            }),
            _ => None,
        };
        let read = Self {
            day: row.get(0)?,
            proven_at: row.get(1)?,
            stated: row.get::<Option<i64>>(2)?.map(i64::cast_unsigned),
            received: count(3)?,
            waiting: count(4)?,
            waits_until: row.get(5)?,
            due_at: row.get(6)?,
            asked: row.get(7)?,
            failures: row.get(8)?,
            failure: row.get(9)?,
            position,
        };
        Ok((read, row.get(13)?))
    }
}

/// The days of an account, oldest first.
pub(crate) fn read_all(conn: &Connection, account: i64) -> Result<Vec<DayCoverage>> {
    conn.all(
        &format!("SELECT {COLUMNS}, checksum FROM coverage WHERE account = ? ORDER BY day"),
        values![account],
        DayCoverage::read,
    )
    .map_err(|source| conn.failed("read", source))?
    .into_iter()
    .map(|(day, checksum)| {
        if day.checksum(account) == checksum {
            Ok(day)
        } else {
            let day = day.day;
            Err(conn.corrupt(format!(
                "the coverage of day {day} does not match its checksum"
            )))
        }
    })
    .collect()
}

pub(crate) fn delete(conn: &Connection, account: i64, day: i32) -> DatabaseResult<()> {
    conn.execute(
        "DELETE FROM coverage WHERE account = ? AND day = ?",
        values![account, day],
    )?;
    Ok(())
}
