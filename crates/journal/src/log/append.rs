//! Appends batches: they are packed first, then stored in one transaction.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use callmeter_records::{
    BalancesBuilder, BatchHead, BatchId, BatchSeq, BillingBuilder, CallsBuilder, ChargesBuilder,
    RatesBuilder, Stream,
};

use crate::checksum;
use crate::database::connection::Connection;
use crate::database::error::DatabaseResult;
use crate::error::{JournalError, Result};
use crate::log::accounts::{self, AccountRow, AccountState};
use crate::log::batch_row::BatchRow;
use crate::log::coverage::{self, CoverageChange};
use crate::log::cursor_rows::{self, CursorMove};
use crate::log::keys::BatchKeys;
use crate::log::latest_versions::LatestVersion;
use crate::log::schema_ids::schema_id;
use crate::log::writer::{Numbers, Writer};
use crate::log::{epochs, head};
use crate::stored_batch::{BatchMeta, StoredBatch};

/// What one transaction appends.
pub(crate) struct Append<'a> {
    /// The account's id and name.
    pub(crate) account: &'a AccountRow,
    /// How far the account has been read, if that changes.
    pub(crate) state: Option<AccountState>,
    /// The earliest start time that polls will ask for, if that changes.
    pub(crate) horizon: Option<i64>,
    /// The days of the account whose coverage changes.
    pub(crate) coverage: CoverageChange,
    pub(crate) observed_at: i64,
    /// The batches, in order; each of one stream.
    pub(crate) batches: Vec<Rows>,
    /// New latest versions of records, each with the index of its batch in `batches`.
    pub(crate) latest: Vec<(usize, LatestVersion)>,
    /// The cursor that moves with the batches.
    pub(crate) cursor: Option<CursorMove<'a>>,
}

/// The rows of a batch. They get their sequence numbers when the batch is appended.
pub(crate) enum Rows {
    /// Calls, their keys, and their earliest and latest start time.
    Calls(Box<CallsBuilder>, BatchKeys, Option<(i64, i64)>),
    Balances(Box<BalancesBuilder>),
    Rates(Box<RatesBuilder>),
    Billing(Box<BillingBuilder>),
    /// Charges, and the earliest and latest start time of their calls.
    Charges(Box<ChargesBuilder>, Option<(i64, i64)>),
}

impl Rows {
    fn stream(&self) -> Stream {
        match self {
            Self::Calls(..) => Stream::Calls,
            Self::Balances(_) => Stream::Balances,
            Self::Rates(_) => Stream::Rates,
            Self::Billing(_) => Stream::Billing,
            Self::Charges(..) => Stream::Charges,
        }
    }

    fn finish(&mut self, head: &BatchHead<'_>) -> Result<RecordBatch, ArrowError> {
        match self {
            Self::Calls(builder, ..) => builder.finish(head),
            Self::Balances(builder) => builder.finish(head),
            Self::Rates(builder) => builder.finish(head),
            Self::Billing(builder) => builder.finish(head),
            Self::Charges(builder, _) => builder.finish(head),
        }
    }
}

/// A batch that is ready to be stored.
struct PackedBatch {
    stored: StoredBatch,
    last_day: Option<i16>,
    keys: Vec<u8>,
    payload: Vec<u8>,
}

impl Writer {
    /// Appends batches and stores the account's state, in one transaction. Returns both as stored.
    pub(crate) fn append(&mut self, append: Append<'_>) -> Result<(Vec<StoredBatch>, AccountRow)> {
        let Append {
            account,
            state,
            horizon,
            coverage,
            observed_at,
            batches,
            latest,
            cursor,
        } = append;
        let mut numbers = self.numbers.clone();
        let mut packed = Vec::with_capacity(batches.len());
        for rows in batches {
            packed.push(self.pack(rows, account, observed_at, &mut numbers)?);
        }
        let first = self.numbers.next_batch;
        let new_epoch = (!packed.is_empty() && !self.epoch_is_stored).then_some(self.epoch);
        let mut schemas = self.schemas.clone();
        let row = self.transaction("append to", |transaction, _| {
            let sql = |source| transaction.failed("append to", source);
            for batch in &packed {
                let stream = batch.stored.meta.stream;
                let schema = match schemas.get(&stream) {
                    Some(id) => *id,
                    None => schema_id(transaction, stream).map_err(sql)?,
                };
                schemas.insert(stream, schema);
                batch.store(transaction, account.id, schema).map_err(sql)?;
            }
            if let Some(cursor) = &cursor {
                cursor_rows::advance(transaction, cursor)?;
            }
            if let Some(epoch) = new_epoch {
                epochs::write(transaction, first, epoch).map_err(sql)?;
            }
            if !packed.is_empty() {
                head::write_head(transaction, numbers.journal, numbers.next_batch).map_err(sql)?;
            }
            for (index, version) in &latest {
                let seq = packed
                    .get(*index)
                    .map_or(BatchSeq::START, |batch| batch.stored.meta.seq);
                version.write(transaction, account.id, seq).map_err(sql)?;
            }
            // Read again, because retention writes to the same row.
            let mut row =
                accounts::read_by_id(transaction, account.id)?.unwrap_or_else(|| account.clone());
            row.state = state.unwrap_or(row.state);
            row.horizon = horizon.or(row.horizon);
            row.write(transaction).map_err(sql)?;
            for day in &coverage.removed {
                coverage::delete(transaction, account.id, *day).map_err(sql)?;
            }
            for day in &coverage.changed {
                day.write(transaction, account.id).map_err(sql)?;
            }
            Ok(row)
        })?;
        self.numbers = numbers;
        self.epoch_is_stored |= new_epoch.is_some();
        self.schemas = schemas;
        self.checkpoint_if_due();
        let stored = packed.into_iter().map(|batch| batch.stored).collect();
        Ok((stored, row))
    }

    /// Gives a batch the next numbers, and packs it.
    fn pack(
        &mut self,
        mut rows: Rows,
        account: &AccountRow,
        observed_at: i64,
        numbers: &mut Numbers,
    ) -> Result<PackedBatch> {
        // Row addresses have 32 bits for the batch.
        if numbers.next_batch > i64::from(u32::MAX) {
            return Err(JournalError::Exhausted);
        }
        let stream = rows.stream();
        let sequence = numbers.next_sequence.entry(stream).or_insert(1);
        let head = BatchHead {
            account: &account.name,
            first_sequence: *sequence,
            observed_at,
        };
        let pack_error = |source| JournalError::Pack { stream, source };
        let records = rows.finish(&head).map_err(pack_error)?;
        let payload = self.packer.pack(&records).map_err(pack_error)?;
        let (keys, last_day, span) = match &rows {
            Rows::Calls(_, keys, span) => (keys.encode(), keys.last_day, *span),
            Rows::Charges(_, span) => (Vec::new(), None, *span),
            _ => (Vec::new(), None, None),
        };
        let seq = BatchSeq::from_sql(numbers.next_batch);
        let meta = BatchMeta {
            seq,
            id: BatchId::new(self.epoch, seq),
            stream,
            account: Arc::from(account.name.as_str()),
            rows: u32::try_from(records.num_rows()).unwrap_or(u32::MAX),
            first_sequence: *sequence,
            observed_at,
            span,
            bytes: (keys.len() + payload.len()) as u64,
        };
        *sequence += i64::from(meta.rows);
        numbers.next_batch += 1;
        Ok(PackedBatch {
            stored: StoredBatch { meta, records },
            last_day,
            keys,
            payload,
        })
    }
}

impl PackedBatch {
    fn store(&self, transaction: &Connection, account: i64, schema: i64) -> DatabaseResult<()> {
        let meta = &self.stored.meta;
        let row = BatchRow {
            seq: meta.seq,
            stream: meta.stream.code().into(),
            account,
            schema,
            rows: meta.rows.into(),
            first_sequence: meta.first_sequence,
            observed_at: meta.observed_at,
            min_start: meta.span.map(|(min, _)| min),
            max_start: meta.span.map(|(_, max)| max),
            last_day: self.last_day.map(i64::from),
            keys_checksum: checksum::blob(&self.keys),
            payload_checksum: checksum::blob(&self.payload),
            bytes: meta.bytes.cast_signed(),
        };
        row.insert(transaction, &self.keys, &self.payload)?;
        let next_sequence = meta.first_sequence + i64::from(meta.rows);
        head::write_stream(transaction, meta.stream, next_sequence)
    }
}
