//! Whether retention can rely on the clock: the table `retention`.

use std::time::Duration;

use crate::checksum::RowChecksum;
use crate::database::connection::Connection;
use crate::database::error::DatabaseResult;
use crate::database::upsert::upsert;
use crate::database::value::values;
use crate::error::Result;
use crate::leases::fence::Fence;
use crate::log::writer::Writer;
use crate::utc_day::DAY;

/// The clock as earlier runs of retention saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clock {
    /// At the last decision.
    decided_at: i64,
    /// When it was first seen far from that.
    jumped_at: Option<i64>,
}

const WRITE: &str = "write the clock to";

/// Whether the clock has not jumped by more than half of `keep` since the last decision. The time
/// is stored.
///
/// After a jump the clock is trusted again when it has gone on for a day (or half of `keep`, if
/// that is shorter): the process may simply not have run for a long time.
pub(crate) fn is_trusted(
    writer: &mut Writer,
    fence: &Fence,
    keep: Duration,
    now: i64,
) -> Result<bool> {
    let limit = i64::try_from(keep.as_micros() / 2).unwrap_or(i64::MAX);
    let Some(before) = read(writer.conn()?)? else {
        // Nothing to compare with, and nothing to delete.
        return Ok(true);
    };
    let clock = before.at(now, limit);
    if clock != before {
        writer.transaction(WRITE, fence, |transaction, _| {
            write(transaction, clock).map_err(|source| transaction.failed(WRITE, source))
        })?;
    }
    Ok(clock.jumped_at.is_none())
}

/// Fails if the stored row is damaged.
pub(crate) fn check(conn: &Connection) -> Result<()> {
    read(conn).map(|_| ())
}

impl Clock {
    fn at(self, now: i64, limit: i64) -> Self {
        let decided = Self {
            decided_at: now,
            jumped_at: None,
        };
        if is_near(now, self.decided_at, limit) {
            return decided;
        }
        let jumped_at = self
            .jumped_at
            .filter(|jumped_at| *jumped_at <= now && is_near(now, *jumped_at, limit.max(DAY)))
            .unwrap_or(now);
        if now.saturating_sub(jumped_at) >= limit.min(DAY) {
            return decided;
        }
        Self {
            jumped_at: Some(jumped_at),
            ..self
        }
    }
}

fn is_near(one: i64, other: i64, limit: i64) -> bool {
    one.abs_diff(other) <= limit.unsigned_abs()
}

/// The clock of the last decision; before the first, the clock of the last batch.
fn read(conn: &Connection) -> Result<Option<Clock>> {
    let sql = |source| conn.failed("read", source);
    let row: Option<(Clock, i64)> = conn
        .first(
            "SELECT decided_at, jumped_at, checksum FROM retention",
            values![],
            |row| {
                let clock = Clock {
                    decided_at: row.get(0)?,
                    jumped_at: row.get(1)?,
                };
                Ok((clock, row.get(2)?))
            },
        )
        .map_err(sql)?;
    match row {
        Some((clock, checksum)) if row_checksum(clock) == checksum => Ok(Some(clock)),
        Some(_) => Err(conn.corrupt("the row of `retention` does not match its checksum")),
        None => {
            let newest: Option<i64> = conn
                .only("SELECT max(observed_at) FROM batches", values![], |row| {
                    row.get(0)
                })
                .map_err(sql)?;
            Ok(newest.map(|decided_at| Clock {
                decided_at,
                jumped_at: None,
            }))
        }
    }
}

fn write(conn: &Connection, clock: Clock) -> DatabaseResult<()> {
    conn.execute(
        upsert!("retention" ("one") "decided_at", "jumped_at"),
        values![1, clock.decided_at, clock.jumped_at, row_checksum(clock)],
    )?;
    Ok(())
}

fn row_checksum(clock: Clock) -> i64 {
    RowChecksum::of("retention")
        .int(clock.decided_at)
        .optional(clock.jumped_at)
        .finish()
}
