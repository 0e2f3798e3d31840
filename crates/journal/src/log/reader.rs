//! Reads batches in order, on a connection that only reads.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{RecordBatch, new_null_array};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use callmeter_records::{BatchSeq, Stream};

use crate::checksum;
use crate::database::connection::{Access, Connection};
use crate::database::error::{DatabaseError, DatabaseResult};
use crate::database::row::Row;
use crate::database::value::{Value, values};
use crate::error::{JournalError, Result};
use crate::location::Location;
use crate::log::batch_row::{BatchRow, COLUMNS};
use crate::log::keys::{BatchKeys, StoredKeys};
use crate::log::source::Source;
use crate::log::{accounts, codec, epochs, head};
use crate::postgres;
use crate::postgres::settings::PostgresJournal;
use crate::stored_batch::{BatchMeta, StoredBatch};
use crate::utc_day::DAY;

/// Reads a journal, even while another process writes to it.
///
/// A method sees what is committed when it is called, as one consistent state. The journal may
/// change between two calls.
#[derive(Debug)]
pub struct Reader {
    pub(crate) conn: Connection,
    schemas: HashMap<i64, SchemaRef>,
    accounts: HashMap<i64, Arc<str>>,
}

/// Which batches to read.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only batches of this stream.
    pub stream: Option<Stream>,
    /// Only batches of this account.
    pub account: Option<String>,
    /// Only batches with records at or after this time (UTC, microseconds): the start time of
    /// calls, `observed_at` of other records. Batches are read whole: they may have rows outside.
    pub from: Option<i64>,
    /// Only batches with records before this time (UTC, microseconds).
    pub to: Option<i64>,
}

impl Reader {
    /// Opens the journal at `path` for reading; ignores its lock.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let page_limit = None;
        Self::of(&Source::File { path, page_limit })
    }

    /// Connects to a journal on a server for reading. The server may be a standby.
    pub fn connect(journal: &PostgresJournal) -> Result<Self> {
        Ok(Self::on(postgres::connection::reader_anywhere(journal)?))
    }

    pub(crate) fn of(source: &Source) -> Result<Self> {
        Ok(Self::on(source.reader()?))
    }

    fn on(conn: Connection) -> Self {
        Self {
            conn,
            schemas: HashMap::new(),
            accounts: HashMap::new(),
        }
    }

    /// Where the journal is.
    pub fn location(&self) -> &Location {
        self.conn.location()
    }

    /// The last committed batch; [`BatchSeq::START`] before the first.
    pub fn head(&self) -> Result<BatchSeq> {
        let (_, next_batch) = head::read_head(&self.conn)?;
        Ok(BatchSeq::from_sql(next_batch - 1))
    }

    /// The oldest batch that retention has not deleted.
    pub fn oldest(&self) -> Result<Option<BatchSeq>> {
        self.conn
            .only("SELECT min(seq) FROM batches", values![], |row| row.get(0))
            .map(|seq: Option<i64>| seq.map(BatchSeq::from_sql))
            .map_err(|source| self.sql(source))
    }

    /// The next batch of `stream` after `after`.
    pub fn next_batch(&mut self, stream: Stream, after: BatchSeq) -> Result<Option<StoredBatch>> {
        let found = self.load(
            &format!("SELECT {COLUMNS}, payload FROM batches WHERE stream = ? AND seq > ? ORDER BY seq LIMIT 1"),
            values![stream.code(), after.to_sql()],
        )?;
        self.behind(after, found)
    }

    /// The next batch of any stream after `after`.
    pub fn next_of_any(&mut self, after: BatchSeq) -> Result<Option<StoredBatch>> {
        let found = self.load(
            &format!("SELECT {COLUMNS}, payload FROM batches WHERE seq > ? ORDER BY seq LIMIT 1"),
            values![after.to_sql()],
        )?;
        self.behind(after, found)
    }

    fn behind(&self, after: BatchSeq, found: Option<StoredBatch>) -> Result<Option<StoredBatch>> {
        if let Some(batch) = &found {
            self.check_order(after, batch.meta.seq)?;
        }
        Ok(found)
    }

    /// The next batch after `after` that matches `filter`.
    pub fn next_matching(
        &mut self,
        filter: &Filter,
        after: BatchSeq,
    ) -> Result<Option<StoredBatch>> {
        let mut after = after;
        loop {
            // Read without the payload first, so that skipped batches cost little.
            let batch = self.row_where(
                &format!(
                    "SELECT {COLUMNS} FROM batches NOT INDEXED WHERE seq > ?1 AND (stream = ?2 OR ?2 IS NULL)
                         AND (account = (SELECT id FROM accounts WHERE name = ?3) OR ?3 IS NULL)
                         AND (coalesce(max_start, observed_at) >= ?4 OR ?4 IS NULL)
                         AND (coalesce(min_start, observed_at) < ?5 OR ?5 IS NULL)
                         ORDER BY seq LIMIT 1"
                ),
                values![
                    after.to_sql(),
                    filter.stream.map(Stream::code),
                    filter.account.as_deref(),
                    filter.from,
                    filter.to
                ],
            )?;
            let Some(batch) = batch else { return Ok(None) };
            self.check_order(after, batch.seq)?;
            match self.batch(batch.seq)? {
                Some(batch) => return Ok(Some(batch)),
                // Retention has deleted it in between.
                None => after = batch.seq,
            }
        }
    }

    /// The batch with this number, if retention has not deleted it.
    pub fn batch(&mut self, seq: BatchSeq) -> Result<Option<StoredBatch>> {
        self.load(
            &format!("SELECT {COLUMNS}, payload FROM batches WHERE seq = ?"),
            values![seq.to_sql()],
        )
    }

    /// The metadata of the next batch of `stream` after `after`.
    pub fn next_meta(&mut self, stream: Stream, after: BatchSeq) -> Result<Option<BatchMeta>> {
        let batch = self.row_where(
            &format!(
                "SELECT {COLUMNS} FROM batches WHERE stream = ? AND seq > ? ORDER BY seq LIMIT 1"
            ),
            values![stream.code(), after.to_sql()],
        )?;
        if let Some(batch) = &batch {
            self.check_order(after, batch.seq)?;
        }
        batch.map(|batch| self.meta(&batch)).transpose()
    }

    /// At least the number of an account's calls before a day; all of them without a day.
    pub(crate) fn count_calls_before(&self, account: i64, day: Option<i16>) -> Result<usize> {
        self.conn
            .only(
                "SELECT CAST(coalesce(sum(rows), 0) AS BIGINT) FROM batches WHERE account = ?1
                 AND last_day IS NOT NULL AND (min_start < ?2 OR min_start IS NULL OR ?2 IS NULL)",
                values![account, start_of(day)],
                |row| row.get::<i64>(0),
            )
            .map(|calls| usize::try_from(calls).unwrap_or(0))
            .map_err(|source| self.sql(source))
    }

    /// The rows of the batches that [`Reader::for_each_keys`] finds from a day on.
    pub(crate) fn count_rows_from(&self, account: i64, from_day: i16) -> Result<usize> {
        self.conn
            .only(
                "SELECT CAST(coalesce(sum(rows), 0) AS BIGINT) FROM batches WHERE account = ?1
                 AND last_day >= ?2",
                values![account, from_day],
                |row| row.get::<i64>(0),
            )
            .map(|rows| usize::try_from(rows).unwrap_or(0))
            .map_err(|source| self.sql(source))
    }

    /// The keys of the batches of an account's calls whose last day is `from_day` or later, in
    /// order; only of those that may have calls before a day, if one is given.
    pub(crate) fn for_each_keys(
        &mut self,
        account: i64,
        from_day: i16,
        before: Option<i16>,
        mut each: impl FnMut(BatchSeq, &StoredKeys<'_>),
    ) -> Result<()> {
        let sql = |source| self.sql(source);
        // One consistent state for all queries; rolled back when dropped.
        let _snapshot = self.conn.begin(Access::Read).map_err(sql)?;
        // Numbers first: to sort the keys themselves, SQLite would load those of all calls at once.
        let numbers: Vec<i64> = self
            .conn
            .all(
                "SELECT seq FROM batches WHERE account = ?1 AND last_day >= ?2
                 AND (min_start < ?3 OR min_start IS NULL OR ?3 IS NULL) ORDER BY seq",
                values![account, from_day, start_of(before)],
                |row| row.get(0),
            )
            .map_err(sql)?;
        let query = format!("SELECT {COLUMNS}, keys FROM batches WHERE seq = ?");
        for number in numbers {
            self.for_each_row(&query, values![number], |row| {
                let batch = self.checked_row(row)?;
                let bytes: &[u8] = row.get(14).map_err(sql)?;
                each(batch.seq, &self.checked_keys(&batch, bytes)?);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The keys of a batch of calls, if retention has not deleted it.
    pub(crate) fn keys(&self, seq: BatchSeq) -> Result<Option<BatchKeys>> {
        let found = self
            .conn
            .first(
                &format!("SELECT {COLUMNS}, keys FROM batches WHERE seq = ?"),
                values![seq.to_sql()],
                |row| Ok((BatchRow::read(row)?, row.get::<Vec<u8>>(14)?)),
            )
            .map_err(|source| self.sql(source))?;
        let Some(((batch, checksum), bytes)) = found else {
            return Ok(None);
        };
        let batch = self.check_row(batch, checksum)?;
        Ok(Some(self.checked_keys(&batch, &bytes)?.decode()))
    }

    /// Decodes the keys of a batch, and checks them against its row.
    pub(crate) fn checked_keys<'b>(
        &self,
        batch: &BatchRow,
        bytes: &'b [u8],
    ) -> Result<StoredKeys<'b>> {
        if checksum::blob(bytes) != batch.keys_checksum {
            return Err(self.corrupt(format!(
                "the keys of batch {} do not match their checksum",
                batch.seq
            )));
        }
        StoredKeys::new(bytes).ok_or_else(|| {
            self.corrupt(format!("the keys of batch {} cannot be decoded", batch.seq))
        })
    }

    /// Runs `read` on one consistent state of the journal.
    pub(crate) fn snapshot<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Result<T> {
        let transaction = self.conn.begin(Access::Read);
        transaction.map_err(|source| self.sql(source))?.leave_open();
        let done = read(self);
        // Nothing was written, so a failure here has no effect.
        let _ = self.conn.run("COMMIT");
        Ok(done)
    }

    /// Reads the first row of a query for `COLUMNS, payload`.
    pub(crate) fn load(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Option<StoredBatch>> {
        let found = self
            .conn
            .first(sql, values, |row| {
                Ok((BatchRow::read(row)?, row.get::<Vec<u8>>(14)?))
            })
            .map_err(|source| self.sql(source))?;
        let Some(((batch, checksum), payload)) = found else {
            return Ok(None);
        };
        let batch = self.check_row(batch, checksum)?;
        let meta = self.meta(&batch)?;
        let records = self.records(&batch, &meta, &payload)?;
        Ok(Some(StoredBatch { meta, records }))
    }

    /// Calls `each` with every row of a query, in order.
    pub(crate) fn for_each_row(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        /// Why the query was given up.
        enum Stopped {
            Database(DatabaseError),
            Journal(JournalError),
        }
        impl From<DatabaseError> for Stopped {
            fn from(source: DatabaseError) -> Self {
                Self::Database(source)
            }
        }
        let done = self
            .conn
            .for_each(sql, values, |row| each(row).map_err(Stopped::Journal));
        done.map_err(|stopped| match stopped {
            Stopped::Database(source) => self.sql(source),
            Stopped::Journal(error) => error,
        })
    }

    /// Unpacks the records of a batch, and checks them against its row.
    pub(crate) fn records(
        &mut self,
        batch: &BatchRow,
        meta: &BatchMeta,
        payload: &[u8],
    ) -> Result<RecordBatch> {
        let seq = batch.seq;
        if checksum::blob(payload) != batch.payload_checksum {
            return Err(self.corrupt(format!(
                "batch {seq} of {} does not match its checksum",
                meta.stream
            )));
        }
        let schema = self.schema(batch.schema)?;
        let records = codec::unpack(payload, &schema).map_err(|error| {
            self.corrupt(format!(
                "batch {seq} of {} cannot be unpacked: {error}",
                meta.stream
            ))
        })?;
        if records.num_rows() != meta.rows as usize {
            return Err(self.corrupt(format!(
                "batch {seq} has {} rows instead of {}",
                records.num_rows(),
                meta.rows
            )));
        }
        with_all_columns(records, meta.stream).map_err(|error| {
            self.corrupt(format!(
                "batch {seq} of {} does not fit its stream: {error}",
                meta.stream
            ))
        })
    }

    pub(crate) fn row_where(&self, sql: &str, values: &[Value<'_>]) -> Result<Option<BatchRow>> {
        let found = self
            .conn
            .first(sql, values, BatchRow::read)
            .map_err(|source| self.sql(source))?;
        found
            .map(|(batch, checksum)| self.check_row(batch, checksum))
            .transpose()
    }

    /// Reads a row that starts with [`COLUMNS`], and checks its checksum.
    pub(crate) fn checked_row(&self, row: &Row<'_>) -> Result<BatchRow> {
        let (batch, checksum) = BatchRow::read(row).map_err(|source| self.sql(source))?;
        self.check_row(batch, checksum)
    }

    pub(crate) fn check_row(&self, batch: BatchRow, checksum: i64) -> Result<BatchRow> {
        if batch.matches(checksum) {
            Ok(batch)
        } else {
            Err(self.corrupt(format!(
                "the metadata of batch {} does not match its checksum",
                batch.seq
            )))
        }
    }

    pub(crate) fn meta(&mut self, batch: &BatchRow) -> Result<BatchMeta> {
        let stream = u8::try_from(batch.stream)
            .ok()
            .and_then(Stream::from_code)
            .ok_or_else(|| {
                self.corrupt(format!(
                    "batch {} has the unknown stream {}",
                    batch.seq, batch.stream
                ))
            })?;
        let rows = u32::try_from(batch.rows).map_err(|_| {
            self.corrupt(format!(
                "batch {} has an impossible number of rows: {}",
                batch.seq, batch.rows
            ))
        })?;
        Ok(BatchMeta {
            seq: batch.seq,
            id: epochs::batch_id(&self.conn, batch.seq)?,
            stream,
            account: self.account(batch.account)?,
            rows,
            first_sequence: batch.first_sequence,
            observed_at: batch.observed_at,
            span: batch.min_start.zip(batch.max_start),
            bytes: batch.bytes.cast_unsigned(),
        })
    }

    fn account(&mut self, id: i64) -> Result<Arc<str>> {
        if let Some(name) = self.accounts.get(&id) {
            return Ok(Arc::clone(name));
        }
        let row = accounts::read_by_id(&self.conn, id)?
            .ok_or_else(|| self.corrupt(format!("account {id} is missing")))?;
        let name: Arc<str> = row.name.into();
        self.accounts.insert(id, Arc::clone(&name));
        Ok(name)
    }

    fn schema(&mut self, id: i64) -> Result<SchemaRef> {
        if let Some(schema) = self.schemas.get(&id) {
            return Ok(Arc::clone(schema));
        }
        let (message, checksum): (Vec<u8>, i64) = self
            .conn
            .first(
                "SELECT message, checksum FROM schemas WHERE id = ?",
                values![id],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .map_err(|source| self.sql(source))?
            .ok_or_else(|| self.corrupt(format!("schema {id} is missing")))?;
        if checksum != checksum::blob(&message) {
            return Err(self.corrupt(format!("schema {id} does not match its checksum")));
        }
        let schema = codec::unpack_schema(&message)
            .map_err(|error| self.corrupt(format!("schema {id} cannot be decoded: {error}")))?;
        self.schemas.insert(id, Arc::clone(&schema));
        Ok(schema)
    }

    pub(crate) fn sql(&self, source: DatabaseError) -> JournalError {
        self.conn.failed("read", source)
    }

    pub(crate) fn corrupt(&self, what: String) -> JournalError {
        self.conn.corrupt(what)
    }
}

/// A batch of an older version of callmeter, with nulls in the columns that were added since.
fn with_all_columns(records: RecordBatch, stream: Stream) -> Result<RecordBatch, ArrowError> {
    let schema = stream.schema();
    if records.num_columns() >= schema.fields().len() {
        return Ok(records);
    }
    let found = records.schema();
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for field in schema.fields() {
        let (field, column) = match found.fields().find(field.name()) {
            Some((index, known)) => (known, Arc::clone(records.column(index))),
            None => (field, new_null_array(field.data_type(), records.num_rows())),
        };
        fields.push(Arc::clone(field));
        columns.push(column);
    }
    let schema = Schema::new_with_metadata(fields, schema.metadata().clone());
    RecordBatch::try_new(Arc::new(schema), columns)
}

/// The first microsecond of a day.
fn start_of(day: Option<i16>) -> Option<i64> {
    day.map(|day| i64::from(day) * DAY)
}

/// The oldest batch and when it was observed.
pub(crate) fn oldest_batch(conn: &Connection) -> DatabaseResult<Option<(BatchSeq, i64)>> {
    conn.first(
        "SELECT seq, observed_at FROM batches ORDER BY seq LIMIT 1",
        values![],
        |row| Ok((BatchSeq::from_sql(row.get(0)?), row.get(1)?)),
    )
}
