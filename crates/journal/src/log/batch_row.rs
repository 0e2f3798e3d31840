//! A row of the table `batches`, and its checksum.

use callmeter_records::BatchSeq;

use crate::checksum::RowChecksum;
use crate::database::connection::Connection;
use crate::database::error::DatabaseResult;
use crate::database::row::Row;
use crate::database::value::values;

/// A row of `batches`, without the keys and the payload.
#[derive(Clone, Debug)]
pub(crate) struct BatchRow {
    pub(crate) seq: BatchSeq,
    pub(crate) stream: i64,
    pub(crate) account: i64,
    pub(crate) schema: i64,
    pub(crate) rows: i64,
    pub(crate) first_sequence: i64,
    pub(crate) observed_at: i64,
    pub(crate) min_start: Option<i64>,
    pub(crate) max_start: Option<i64>,
    pub(crate) last_day: Option<i64>,
    pub(crate) keys_checksum: i64,
    pub(crate) payload_checksum: i64,
    pub(crate) bytes: i64,
}

/// The columns that [`BatchRow::read`] reads, in its order.
pub(crate) const COLUMNS: &str = "seq, stream, account, schema, rows, first_sequence, \
     observed_at, min_start, max_start, last_day, keys_checksum, payload_checksum, checksum, \
     length(keys) + length(payload)";

impl BatchRow {
    /// Reads [`COLUMNS`]; the second value is the stored checksum.
    pub(crate) fn read(row: &Row<'_>) -> DatabaseResult<(Self, i64)> {
        let read = Self {
            seq: BatchSeq::from_sql(row.get(0)?),
            stream: row.get(1)?,
            account: row.get(2)?,
            schema: row.get(3)?,
            rows: row.get(4)?,
            first_sequence: row.get(5)?,
            observed_at: row.get(6)?,
            min_start: row.get(7)?,
            max_start: row.get(8)?,
            last_day: row.get(9)?,
            keys_checksum: row.get(10)?,
            payload_checksum: row.get(11)?,
            bytes: row.get(13)?,
        };
        Ok((read, row.get(12)?))
    }

    /// Whether the row matches its stored checksum.
    pub(crate) fn matches(&self, checksum: i64) -> bool {
        self.checksum() == checksum
    }

    pub(crate) fn checksum(&self) -> i64 {
        RowChecksum::of("batches")
            .int(self.seq.to_sql())
            .int(self.stream)
            .int(self.account)
            .int(self.schema)
            .int(self.rows)
            .int(self.first_sequence)
            .int(self.observed_at)
            .optional(self.min_start)
            .optional(self.max_start)
            .optional(self.last_day)
            .int(self.keys_checksum)
            .int(self.payload_checksum)
            .finish()
    }

    pub(crate) fn insert(
        &self,
        conn: &Connection,
        keys: &[u8],
        payload: &[u8],
    ) -> DatabaseResult<()> {
        conn.execute(
            "INSERT INTO batches (seq, stream, account, schema, rows, first_sequence, observed_at, min_start,
             max_start, last_day, keys_checksum, payload_checksum, checksum, keys, payload)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            values![
            self.seq.to_sql(),
            self.stream,
            self.account,
            self.schema,
            self.rows,
            self.first_sequence,
            self.observed_at,
            self.min_start,
            self.max_start,
            self.last_day,
            self.keys_checksum,
            self.payload_checksum,
            self.checksum(),
            keys,
            payload
        ])?;
        Ok(())
    }
}
