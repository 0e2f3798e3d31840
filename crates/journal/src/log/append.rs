//! Appends batches: they are packed first, then stored in one transaction.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use callmeter_records::{
    BalancesBuilder, BatchHead, BatchId, BatchSeq, BillingBuilder, CallsBuilder, ChargesBuilder,
    RatesBuilder, Stream,
};

use crate::checksum;
use crate::database::connection::{Access, Connection};
use crate::database::error::DatabaseResult;
use crate::error::{JournalError, Result};
use crate::leases::fence::Fence;
use crate::log::accounts::{self, AccountRow, AccountState};
use crate::log::batch_row::BatchRow;
use crate::log::codec::Packer;
use crate::log::coverage::{self, CoverageChange};
use crate::log::cursor_rows::{self, CursorMove};
use crate::log::keys::BatchKeys;
use crate::log::latest_versions::LatestVersion;
use crate::log::reader::oldest_batch;
use crate::log::renumber::with_first_sequence;
use crate::log::schema_ids::schema_id;
use crate::log::writer::{Ended, Numbers, Writer};
use crate::log::{epochs, head};
use crate::stored_batch::{BatchMeta, StoredBatch};

/// What one transaction appends.
pub(crate) struct Append<'a> {
    /// The lease under which it is appended.
    pub(crate) fence: &'a Fence,
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
            fence,
            account,
            state,
            horizon,
            coverage,
            observed_at,
            batches,
            latest,
            cursor,
        } = append;
        // Packed before the transaction begins, with the numbers that are likely to come next.
        let mut packer = std::mem::take(&mut self.packer);
        let mut packed = Vec::with_capacity(batches.len());
        let mut numbers = self.numbers.clone();
        for rows in batches {
            packed.push(pack(rows, account, observed_at, &mut numbers, &mut packer)?);
        }
        let known_schemas = self.schemas.clone();
        let (epoch, own_until) = (self.epoch, self.own_until);
        let ended = self.transact("append to", Access::Write, fence, |transaction, next| {
            let sql = |source| transaction.failed("append to", source);
            // All that changes here is new for each try.
            let mut numbers = next.clone();
            let mut schemas = known_schemas.clone();
            for batch in &mut packed {
                batch.renumber(epoch, &mut numbers, &mut packer)?;
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
            if !packed.is_empty() {
                if next.next_batch != own_until {
                    epochs::write(transaction, next.next_batch, epoch).map_err(sql)?;
                }
                head::write_head(transaction, numbers.journal, numbers.next_batch).map_err(sql)?;
                transaction.announce(numbers.head()).map_err(sql)?;
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
            check_not_removed(transaction, account, &row, &packed)?;
            row.state = state.unwrap_or(row.state);
            row.horizon = horizon.or(row.horizon);
            row.write(transaction).map_err(sql)?;
            for day in &coverage.removed {
                coverage::delete(transaction, account.id, *day).map_err(sql)?;
            }
            for day in &coverage.changed {
                day.write(transaction, account.id).map_err(sql)?;
            }
            Ok((row, numbers, schemas))
        });
        self.packer = packer;
        let (row, numbers, schemas) = match ended? {
            Ended::Committed(done) => done,
            Ended::Unknown(done, error) => match packed.first() {
                Some(batch) if self.is_stored(batch.stored.meta.seq) == Some(true) => done,
                // What has no batch may be repeated.
                _ => return Err(error),
            },
        };
        if !packed.is_empty() {
            self.own_until = numbers.next_batch;
        }
        self.numbers = numbers;
        self.schemas = schemas;
        self.checkpoint_if_due();
        let stored = packed.into_iter().map(|batch| batch.stored).collect();
        Ok((stored, row))
    }
}

/// Fails if another instance's retention has deleted calls that are as old as the appended ones,
/// since the account's row was read: some of them may be known.
fn check_not_removed(
    conn: &Connection,
    account: &AccountRow,
    stored: &AccountRow,
    packed: &[PackedBatch],
) -> Result<()> {
    if stored.forgotten_before == account.forgotten_before {
        return Ok(());
    }
    let is_forgotten = |batch: &&PackedBatch| {
        let meta = &batch.stored.meta;
        let first = meta.span.map(|(first, _)| first);
        meta.stream == Stream::Calls && first < stored.forgotten_before
    };
    if !packed.iter().any(|batch| is_forgotten(&batch)) {
        return Ok(());
    }
    let oldest = oldest_batch(conn).map_err(|source| conn.failed("append to", source))?;
    Err(JournalError::Removed {
        journal: conn.location().clone(),
        seq: oldest.map_or(BatchSeq::START, |(seq, _)| {
            BatchSeq(seq.0.saturating_sub(1))
        }),
    })
}

/// Gives a batch the next numbers, and packs it.
fn pack(
    mut rows: Rows,
    account: &AccountRow,
    observed_at: i64,
    numbers: &mut Numbers,
    packer: &mut Packer,
) -> Result<PackedBatch> {
    let stream = rows.stream();
    let (seq, first_sequence) = numbers.next(stream)?;
    let head = BatchHead {
        account: &account.name,
        first_sequence,
        observed_at,
    };
    let pack_error = |source| JournalError::Pack { stream, source };
    let records = rows.finish(&head).map_err(pack_error)?;
    let payload = packer.pack(&records).map_err(pack_error)?;
    let (keys, last_day, span) = match &rows {
        Rows::Calls(_, keys, span) => (keys.encode(), keys.last_day, *span),
        Rows::Charges(_, span) => (Vec::new(), None, *span),
        _ => (Vec::new(), None, None),
    };
    let meta = BatchMeta {
        seq,
        // Known when it is stored.
        id: BatchId::new([0; 8], seq),
        stream,
        account: Arc::from(account.name.as_str()),
        rows: u32::try_from(records.num_rows()).unwrap_or(u32::MAX),
        first_sequence,
        observed_at,
        span,
        bytes: (keys.len() + payload.len()) as u64,
    };
    numbers.took(stream, meta.rows);
    Ok(PackedBatch {
        stored: StoredBatch { meta, records },
        last_day,
        keys,
        payload,
    })
}

impl PackedBatch {
    /// Gives the batch the numbers under which it is stored: others if another instance has
    /// appended since it was packed.
    fn renumber(
        &mut self,
        epoch: [u8; 8],
        numbers: &mut Numbers,
        packer: &mut Packer,
    ) -> Result<()> {
        let StoredBatch { meta, records } = &mut self.stored;
        let stream = meta.stream;
        let (seq, first_sequence) = numbers.next(stream)?;
        meta.seq = seq;
        meta.id = BatchId::new(epoch, seq);
        if meta.first_sequence != first_sequence {
            let pack_error = |source| JournalError::Pack { stream, source };
            meta.first_sequence = first_sequence;
            *records = with_first_sequence(records, first_sequence).map_err(pack_error)?;
            self.payload = packer.pack(records).map_err(pack_error)?;
            meta.bytes = (self.keys.len() + self.payload.len()) as u64;
        }
        numbers.took(stream, meta.rows);
        Ok(())
    }

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
