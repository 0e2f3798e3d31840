//! The one connection that writes, and the transaction that appends.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use callmeter_records::{
    BalancesBuilder, BatchHead, BillingBuilder, CallsBuilder, RatesBuilder, Stream,
};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use crate::account::{self, AccountRow, AccountState};
use crate::change_streams::LatestRow;
use crate::checksum;
use crate::codec::{self, Packer};
use crate::error::{JournalError, Result};
use crate::keys::Keys;
use crate::reader::Head;
use crate::{BatchId, BatchMeta, BatchSeq, StoredBatch, connection, format};

/// Pages of the write-ahead log after which a checkpoint is taken: 16 MiB.
const CHECKPOINT_PAGES: i64 = 4096;

/// Rows of a batch that is to be appended; its sequence numbers are given when it is.
pub(crate) enum Rows {
    Calls(Box<CallsBuilder>, Keys, Option<(i64, i64)>),
    Balances(Box<BalancesBuilder>),
    Rates(Box<RatesBuilder>),
    Billing(Box<BillingBuilder>),
}

impl Rows {
    fn stream(&self) -> Stream {
        match self {
            Self::Calls(..) => Stream::Calls,
            Self::Balances(_) => Stream::Balances,
            Self::Rates(_) => Stream::Rates,
            Self::Billing(_) => Stream::Billing,
        }
    }

    fn finish(&mut self, head: &BatchHead<'_>) -> Result<RecordBatch, ArrowError> {
        match self {
            Self::Calls(builder, ..) => builder.finish(head),
            Self::Balances(builder) => builder.finish(head),
            Self::Rates(builder) => builder.finish(head),
            Self::Billing(builder) => builder.finish(head),
        }
    }
}

/// What one transaction appends.
pub(crate) struct Append<'a> {
    /// The account's id and name.
    pub(crate) account: &'a AccountRow,
    /// How far the account has been read, if that changes.
    pub(crate) state: Option<AccountState>,
    /// The earliest start time that polls will ask for, if that changes.
    pub(crate) horizon: Option<i64>,
    pub(crate) observed_at: i64,
    /// The batches, in order; each of one stream.
    pub(crate) batches: Vec<Rows>,
    /// Versions of records of the streams that are journaled on change; the batch is the number among `batches`.
    pub(crate) latest: Vec<(usize, LatestRow)>,
}

pub(crate) struct Writer {
    pub(crate) conn: Connection,
    pub(crate) path: PathBuf,
    journal: [u8; 8],
    next_batch: i64,
    next_sequence: HashMap<Stream, i64>,
    schemas: HashMap<Stream, i64>,
    packer: Packer,
    wal_pages: i64,
}

impl Writer {
    pub(crate) fn open(path: &Path, page_limit: Option<u32>) -> Result<Self> {
        let conn = connection::writer(path, page_limit)?;
        let (journal, next_batch) = format::read_head(&conn, path)?;
        let next_sequence = Stream::ALL
            .into_iter()
            .map(|stream| Ok((stream, format::read_stream(&conn, path, stream)?)))
            .collect::<Result<_>>()?;
        let mut writer = Self {
            conn,
            path: path.to_owned(),
            journal,
            next_batch,
            next_sequence,
            schemas: HashMap::new(),
            packer: Packer::default(),
            wal_pages: 0,
        };
        writer.checkpoint()?;
        Ok(writer)
    }

    pub(crate) fn head(&self) -> BatchSeq {
        BatchSeq::from_sql(self.next_batch - 1)
    }

    /// Runs `work` as one transaction: all of it is on disk when this returns, or none.
    pub(crate) fn transaction<T>(
        &mut self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let sql = |source| JournalError::sqlite(&self.path, operation, source);
        let transaction = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sql)?;
        let done = work(&transaction)?;
        transaction.commit().map_err(sql)?;
        Ok(done)
    }

    /// Like [`Writer::transaction`], but without waiting for the disk: after a power failure it may be undone, as a
    /// whole and together with nothing that came before. For what may be repeated, such as an acknowledgement.
    pub(crate) fn lazy_transaction<T>(
        &mut self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let sql = |path: &Path, source| JournalError::sqlite(path, operation, source);
        self.conn
            .pragma_update(None, "synchronous", "NORMAL")
            .map_err(|source| sql(&self.path, source))?;
        let done = self.transaction(operation, work);
        self.conn
            .pragma_update(None, "synchronous", "FULL")
            .map_err(|source| sql(&self.path, source))?;
        done
    }

    /// The account of that name; made if there is none.
    pub(crate) fn account(&mut self, name: &str) -> Result<AccountRow> {
        if let Some(row) = account::read_by_name(&self.conn, &self.path, name)? {
            return Ok(row);
        }
        let path = self.path.clone();
        self.transaction("add an account to", |transaction| {
            let add = || -> rusqlite::Result<AccountRow> {
                let id = transaction.query_row(
                    "SELECT coalesce(max(id), 0) + 1 FROM accounts",
                    [],
                    |row| row.get(0),
                )?;
                let row = AccountRow {
                    id,
                    name: name.to_owned(),
                    state: AccountState::default(),
                    horizon: None,
                    forgotten_before: None,
                };
                row.write(transaction)?;
                Ok(row)
            };
            add().map_err(|source| JournalError::sqlite(&path, "add an account to", source))
        })
    }

    /// Appends batches and stores the account's state, in one transaction. Gives the batches and the account as stored.
    pub(crate) fn append(&mut self, append: Append<'_>) -> Result<(Vec<StoredBatch>, AccountRow)> {
        let Append {
            account,
            state,
            horizon,
            observed_at,
            batches,
            latest,
        } = append;
        let mut next_batch = self.next_batch;
        let mut next_sequence = self.next_sequence.clone();
        let mut schemas = self.schemas.clone();
        let (journal, path) = (self.journal, self.path.clone());
        let mut packer = std::mem::take(&mut self.packer);
        let stored = self.transaction("append to", |transaction| {
            let sql = |source| JournalError::sqlite(&path, "append to", source);
            let name: Arc<str> = account.name.as_str().into();
            let mut stored = Vec::with_capacity(batches.len());
            for mut rows in batches {
                let stream = rows.stream();
                let sequence = next_sequence.entry(stream).or_insert(1);
                let head = BatchHead {
                    account: &account.name,
                    first_sequence: *sequence,
                    observed_at,
                };
                let records = rows
                    .finish(&head)
                    .map_err(|source| JournalError::Pack { stream, source })?;
                let payload = packer
                    .pack(&records)
                    .map_err(|source| JournalError::Pack { stream, source })?;
                let (keys, span) = match rows {
                    Rows::Calls(_, keys, span) => (Some(keys), span),
                    _ => (None, None),
                };
                let keys_bytes = keys.as_ref().map_or_else(Vec::new, Keys::encode);
                // Known ids keep the number in 32 bits.
                if next_batch > i64::from(u32::MAX) {
                    return Err(JournalError::Exhausted);
                }
                let schema = if let Some(id) = schemas.get(&stream) {
                    *id
                } else {
                    let id = schema_id(transaction, stream).map_err(sql)?;
                    schemas.insert(stream, id);
                    id
                };
                let count = i64::try_from(records.num_rows()).unwrap_or(i64::MAX);
                let head = Head {
                    seq: BatchSeq::from_sql(next_batch),
                    stream: stream.code().into(),
                    account: account.id,
                    schema,
                    rows: count,
                    first_sequence: *sequence,
                    observed_at,
                    min_start: span.map(|(min, _)| min),
                    max_start: span.map(|(_, max)| max),
                    last_day: keys.as_ref().and_then(|keys| keys.last_day).map(i64::from),
                    keys_checksum: checksum::blob(&keys_bytes),
                    payload_checksum: checksum::blob(&payload),
                    bytes: i64::try_from(keys_bytes.len() + payload.len()).unwrap_or(i64::MAX),
                };
                insert(transaction, &head, &keys_bytes, &payload).map_err(sql)?;
                stored.push(StoredBatch {
                    meta: BatchMeta {
                        seq: head.seq,
                        id: BatchId::new(journal, head.seq),
                        stream,
                        account: Arc::clone(&name),
                        rows: u32::try_from(count).unwrap_or(u32::MAX),
                        first_sequence: *sequence,
                        observed_at,
                        span,
                        bytes: head.bytes.cast_unsigned(),
                    },
                    records,
                });
                *sequence += count;
                next_batch += 1;
                format::write_stream(transaction, stream, *sequence).map_err(sql)?;
            }
            if !stored.is_empty() {
                format::write_head(transaction, journal, next_batch).map_err(sql)?;
            }
            for (batch, row) in latest {
                let seq = stored
                    .get(batch)
                    .map_or(BatchSeq::START, |batch| batch.meta.seq);
                row.write(transaction, account.id, seq).map_err(sql)?;
            }
            // Read anew: retention writes to the same row.
            let mut row = account::read_by_id(transaction, &path, account.id)?
                .unwrap_or_else(|| account.clone());
            row.state = state.unwrap_or(row.state);
            row.horizon = horizon.or(row.horizon);
            row.write(transaction).map_err(sql)?;
            Ok((stored, row))
        });
        self.packer = packer;
        let stored = stored?;
        self.next_batch = next_batch;
        self.next_sequence = next_sequence;
        self.schemas = schemas;
        self.checkpoint_if_due();
        Ok(stored)
    }

    /// The sequence of the last record of a stream.
    pub(crate) fn last_sequence(&self, stream: Stream) -> i64 {
        self.next_sequence.get(&stream).map_or(0, |next| next - 1)
    }

    /// Takes a checkpoint once the log is long. That it fails costs nothing but room: the next one tries again.
    pub(crate) fn checkpoint_if_due(&mut self) {
        self.wal_pages = self
            .conn
            .query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))
            .unwrap_or(self.wal_pages);
        if self.wal_pages >= CHECKPOINT_PAGES
            && let Err(error) = self.checkpoint()
        {
            tracing::warn!(%error, "the journal's log could not be moved into its file");
        }
    }

    /// Moves the write-ahead log into the database file, as far as no reader is in the way.
    pub(crate) fn checkpoint(&mut self) -> Result<()> {
        self.conn
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .map_err(|source| JournalError::sqlite(&self.path, "checkpoint", source))
    }
}

fn insert(
    transaction: &Transaction<'_>,
    head: &Head,
    keys: &[u8],
    payload: &[u8],
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO batches (seq, stream, account, schema, rows, first_sequence, observed_at, min_start,
             max_start, last_day, keys_checksum, payload_checksum, checksum, keys, payload)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            head.seq.to_sql(),
            head.stream,
            head.account,
            head.schema,
            head.rows,
            head.first_sequence,
            head.observed_at,
            head.min_start,
            head.max_start,
            head.last_day,
            head.keys_checksum,
            head.payload_checksum,
            head.checksum(),
            keys,
            payload
        ])?;
    Ok(())
}

/// The number of the schema that this program writes for a stream; stored if it is not yet there.
fn schema_id(transaction: &Transaction<'_>, stream: Stream) -> rusqlite::Result<i64> {
    let message = codec::pack_schema(&stream.schema());
    let known = transaction
        .query_row(
            "SELECT id FROM schemas WHERE message = ?",
            [&message],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    transaction.execute(
        "INSERT INTO schemas (stream, message, checksum) VALUES (?, ?, ?)",
        params![stream.code(), message, checksum::blob(&message)],
    )?;
    Ok(transaction.last_insert_rowid())
}
