//! Reads the journal on a connection of its own: whole batches, in order.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use callmeter_records::Stream;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::checksum::{self, RowChecksum};
use crate::error::{JournalError, Result};
use crate::keys::Keys;
use crate::{BatchId, BatchMeta, BatchSeq, StoredBatch, account, codec, connection, format};

/// Reads a journal, also one that another process holds and writes to.
///
/// Sees what is committed when a method is called. Each method is one consistent look; between two calls the journal
/// may go on.
#[derive(Debug)]
pub struct Reader {
    pub(crate) conn: Connection,
    pub(crate) path: PathBuf,
    journal: [u8; 8],
    schemas: HashMap<i64, SchemaRef>,
    accounts: HashMap<i64, Arc<str>>,
}

/// Which batches to read.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this stream.
    pub stream: Option<Stream>,
    /// Only of this account.
    pub account: Option<String>,
    /// Only with records at or after this time (UTC, microseconds): by start time for calls, else by time of reading.
    /// A batch is read whole: rows outside are the caller's to skip.
    pub from: Option<i64>,
    /// Only with records before this time.
    pub to: Option<i64>,
}

/// A row of `batches` but for its two big columns.
#[derive(Clone, Debug)]
pub(crate) struct Head {
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

/// The columns of [`Head`], in the order of [`Head::read`].
pub(crate) const HEAD: &str = "seq, stream, account, schema, rows, first_sequence, observed_at, min_start, max_start, \
     last_day, keys_checksum, payload_checksum, checksum, length(keys) + length(payload)";

impl Head {
    /// Reads the columns of [`HEAD`]; the second value is the stored checksum.
    fn read(row: &Row<'_>) -> rusqlite::Result<(Self, i64)> {
        let head = Self {
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
        Ok((head, row.get(12)?))
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
}

impl Reader {
    /// Opens the journal at `path` for reading; neither needs nor takes its lock.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let conn = connection::reader(path)?;
        let (journal, _) = format::read_head(&conn, path)?;
        Ok(Self {
            conn,
            path: path.to_owned(),
            journal,
            schemas: HashMap::new(),
            accounts: HashMap::new(),
        })
    }

    /// The journal's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last batch that was committed; [`BatchSeq::START`] before the first.
    pub fn head(&self) -> Result<BatchSeq> {
        let (_, next_batch) = format::read_head(&self.conn, &self.path)?;
        Ok(BatchSeq::from_sql(next_batch - 1))
    }

    /// The oldest batch that is still there.
    pub fn oldest(&self) -> Result<Option<BatchSeq>> {
        self.conn
            .prepare_cached("SELECT min(seq) FROM batches")
            .and_then(|mut statement| statement.query_row([], |row| row.get::<_, Option<i64>>(0)))
            .map(|seq| seq.map(BatchSeq::from_sql))
            .map_err(|source| self.sql(source))
    }

    /// The next batch of `stream` after `after`.
    pub fn next_batch(&mut self, stream: Stream, after: BatchSeq) -> Result<Option<StoredBatch>> {
        self.load(
            &format!("SELECT {HEAD}, payload FROM batches WHERE stream = ? AND seq > ? ORDER BY seq LIMIT 1"),
            params![stream.code(), after.to_sql()],
        )
    }

    /// The next batch of any stream after `after`: for who replays the journal.
    pub fn next_of_any(&mut self, after: BatchSeq) -> Result<Option<StoredBatch>> {
        self.load(
            &format!("SELECT {HEAD}, payload FROM batches WHERE seq > ? ORDER BY seq LIMIT 1"),
            params![after.to_sql()],
        )
    }

    /// The next batch after `after` that `filter` lets through.
    pub fn next_matching(
        &mut self,
        filter: &Filter,
        after: BatchSeq,
    ) -> Result<Option<StoredBatch>> {
        let mut after = after;
        loop {
            // The heads are read without the records, so that what is skipped costs little.
            let head = self.head_where(
                &format!(
                    "SELECT {HEAD} FROM batches WHERE seq > ?1 AND (?2 IS NULL OR stream = ?2)
                         AND (?3 IS NULL OR account = (SELECT id FROM accounts WHERE name = ?3))
                         AND (?4 IS NULL OR coalesce(max_start, observed_at) >= ?4)
                         AND (?5 IS NULL OR coalesce(min_start, observed_at) < ?5)
                         ORDER BY seq LIMIT 1"
                ),
                params![
                    after.to_sql(),
                    filter.stream.map(Stream::code),
                    filter.account,
                    filter.from,
                    filter.to
                ],
            )?;
            let Some(head) = head else { return Ok(None) };
            match self.batch(head.seq)? {
                Some(batch) => return Ok(Some(batch)),
                // Retention was faster.
                None => after = head.seq,
            }
        }
    }

    /// The batch of that number, if it is still there.
    pub fn batch(&mut self, seq: BatchSeq) -> Result<Option<StoredBatch>> {
        self.load(
            &format!("SELECT {HEAD}, payload FROM batches WHERE seq = ?"),
            params![seq.to_sql()],
        )
    }

    /// What stands beside the next batch of `stream` after `after`.
    pub fn next_meta(&mut self, stream: Stream, after: BatchSeq) -> Result<Option<BatchMeta>> {
        let head = self.head_where(
            &format!(
                "SELECT {HEAD} FROM batches WHERE stream = ? AND seq > ? ORDER BY seq LIMIT 1"
            ),
            params![stream.code(), after.to_sql()],
        )?;
        head.map(|head| self.meta(&head)).transpose()
    }

    /// The keys of the batches of an account's calls whose last day is `from_day` or later, in order.
    pub(crate) fn for_each_keys(
        &mut self,
        account: i64,
        from_day: i16,
        mut each: impl FnMut(BatchSeq, &Keys),
    ) -> Result<()> {
        let sql = |source| self.sql(source);
        // One look for all: rolled back when dropped, which ends a look as well as anything.
        let _look = self.conn.unchecked_transaction().map_err(sql)?;
        // Numbers first: to be put in order by SQLite, the keys of all calls would have to be in memory at once.
        let numbers: Vec<i64> = self
            .conn
            .prepare_cached(
                "SELECT seq FROM batches WHERE account = ? AND last_day >= ? ORDER BY seq",
            )
            .and_then(|mut statement| {
                statement
                    .query_map(params![account, from_day], |row| row.get(0))?
                    .collect()
            })
            .map_err(sql)?;
        let mut statement = self
            .conn
            .prepare_cached(&format!("SELECT {HEAD}, keys FROM batches WHERE seq = ?"))
            .map_err(sql)?;
        for number in numbers {
            let mut rows = statement.query([number]).map_err(sql)?;
            while let Some(row) = rows.next().map_err(sql)? {
                let head = self.checked_head(row)?;
                let bytes = row.get_ref(14).map_err(sql)?;
                let keys = self.checked_keys(&head, bytes.as_blob().unwrap_or_default())?;
                each(head.seq, &keys);
            }
        }
        Ok(())
    }

    /// The keys of a batch, checked against its head.
    pub(crate) fn checked_keys(&self, head: &Head, bytes: &[u8]) -> Result<Keys> {
        if checksum::blob(bytes) != head.keys_checksum {
            return Err(self.corrupt(format!(
                "the keys of batch {} do not match their checksum",
                head.seq
            )));
        }
        Keys::decode(bytes)
            .ok_or_else(|| self.corrupt(format!("the keys of batch {} do not read", head.seq)))
    }

    /// Reads one row of `HEAD, payload`.
    fn load(&mut self, sql: &str, params: impl rusqlite::Params) -> Result<Option<StoredBatch>> {
        let (head, payload) = {
            let mut statement = self
                .conn
                .prepare_cached(sql)
                .map_err(|source| self.sql(source))?;
            let mut rows = statement.query(params).map_err(|source| self.sql(source))?;
            let Some(row) = rows.next().map_err(|source| self.sql(source))? else {
                return Ok(None);
            };
            let head = self.checked_head(row)?;
            let payload: Vec<u8> = row.get(14).map_err(|source| self.sql(source))?;
            (head, payload)
        };
        let meta = self.meta(&head)?;
        let records = self.records(&head, &meta, &payload)?;
        Ok(Some(StoredBatch { meta, records }))
    }

    /// The records of a batch, checked against its head.
    pub(crate) fn records(
        &mut self,
        head: &Head,
        meta: &BatchMeta,
        payload: &[u8],
    ) -> Result<RecordBatch> {
        let seq = head.seq;
        if checksum::blob(payload) != head.payload_checksum {
            return Err(self.corrupt(format!(
                "batch {seq} of {} does not match its checksum",
                meta.stream
            )));
        }
        let schema = self.schema(head.schema)?;
        let records = codec::unpack(payload, &schema).map_err(|error| {
            self.corrupt(format!(
                "batch {seq} of {} does not read: {error}",
                meta.stream
            ))
        })?;
        if records.num_rows() != meta.rows as usize {
            return Err(self.corrupt(format!(
                "batch {seq} has {} rows, not {}",
                records.num_rows(),
                meta.rows
            )));
        }
        Ok(records)
    }

    pub(crate) fn head_where(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<Option<Head>> {
        let found = self
            .conn
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(params, Head::read).optional())
            .map_err(|source| self.sql(source))?;
        found
            .map(|(head, checksum)| self.check_head(head, checksum))
            .transpose()
    }

    /// The head in a row that begins with [`HEAD`].
    pub(crate) fn checked_head(&self, row: &Row<'_>) -> Result<Head> {
        let (head, checksum) = Head::read(row).map_err(|source| self.sql(source))?;
        self.check_head(head, checksum)
    }

    fn check_head(&self, head: Head, checksum: i64) -> Result<Head> {
        if head.checksum() == checksum {
            Ok(head)
        } else {
            Err(self.corrupt(format!(
                "what stands beside batch {} does not match its checksum",
                head.seq
            )))
        }
    }

    pub(crate) fn meta(&mut self, head: &Head) -> Result<BatchMeta> {
        let stream = u8::try_from(head.stream)
            .ok()
            .and_then(Stream::from_code)
            .ok_or_else(|| {
                self.corrupt(format!(
                    "batch {} is of the unknown stream {}",
                    head.seq, head.stream
                ))
            })?;
        let rows = u32::try_from(head.rows)
            .map_err(|_| self.corrupt(format!("batch {} claims {} rows", head.seq, head.rows)))?;
        Ok(BatchMeta {
            seq: head.seq,
            id: BatchId::new(self.journal, head.seq),
            stream,
            account: self.account(head.account)?,
            rows,
            first_sequence: head.first_sequence,
            observed_at: head.observed_at,
            span: head.min_start.zip(head.max_start),
            bytes: head.bytes.cast_unsigned(),
        })
    }

    fn account(&mut self, id: i64) -> Result<Arc<str>> {
        if let Some(name) = self.accounts.get(&id) {
            return Ok(Arc::clone(name));
        }
        let row = account::read_by_id(&self.conn, &self.path, id)?
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
            .prepare_cached("SELECT message, checksum FROM schemas WHERE id = ?")
            .and_then(|mut statement| {
                statement
                    .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .map_err(|source| self.sql(source))?
            .ok_or_else(|| self.corrupt(format!("schema {id} is missing")))?;
        if checksum != checksum::blob(&message) {
            return Err(self.corrupt(format!("schema {id} does not match its checksum")));
        }
        let schema = codec::unpack_schema(&message)
            .map_err(|error| self.corrupt(format!("schema {id} does not read: {error}")))?;
        self.schemas.insert(id, Arc::clone(&schema));
        Ok(schema)
    }

    pub(crate) fn sql(&self, source: rusqlite::Error) -> JournalError {
        JournalError::sqlite(&self.path, "read", source)
    }

    pub(crate) fn corrupt(&self, what: String) -> JournalError {
        JournalError::corrupt(&self.path, what)
    }
}
