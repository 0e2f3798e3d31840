//! Whether a copy has the rows of its journal.

use callmeter_records::Stream;

use crate::checksum;
use crate::database::connection::Connection;
use crate::database::value::values;
use crate::error::{JournalError, Result};

const COMPARE: &str = "compare";

/// Compares the rows of a table. Each row has a checksum of its columns. Returns how many there
/// are.
pub(super) fn rows_of(table: &str, journal: &Connection, copy: &Connection) -> Result<u64> {
    let (rows, sum) = rows_and_sum(table, journal)?;
    if (rows, sum) != rows_and_sum(table, copy)? {
        return Err(JournalError::CopyDiffers {
            journal: copy.location().clone(),
            table: table.to_owned(),
        });
    }
    Ok(rows)
}

/// The rows, and a sum in which each counts, whatever their order.
fn rows_and_sum(table: &str, conn: &Connection) -> Result<(u64, i64)> {
    let (mut rows, mut sum) = (0, 0_i64);
    let query = format!("SELECT checksum FROM {table}");
    conn.for_each(&query, values![], |row| {
        let of_row: i64 = row.get(0)?;
        sum = sum.wrapping_add(checksum::blob(&of_row.to_le_bytes()));
        rows += 1;
        Ok(())
    })
    .map_err(|source| conn.failed(COMPARE, source))?;
    Ok((rows, sum))
}

/// The records of each stream that has some.
pub(super) fn records(conn: &Connection) -> Result<Vec<(Stream, u64)>> {
    conn.all(
        "SELECT stream, CAST(sum(rows) AS BIGINT) FROM batches GROUP BY stream ORDER BY stream",
        values![],
        |row| Ok((row.get::<u8>(0)?, row.get::<i64>(1)?.cast_unsigned())),
    )
    .map_err(|source| conn.failed(COMPARE, source))?
    .into_iter()
    .map(|(code, records)| match Stream::from_code(code) {
        Some(stream) => Ok((stream, records)),
        None => Err(conn.corrupt(format!("some batches have the unknown stream {code}"))),
    })
    .collect()
}
