//! The rate deck of an account as it was after any batch that the journal still has.
//!
//! It is the deck that retention keeps of the batches that it deletes (the table `decks`), changed
//! by the batches after them.

use std::collections::HashMap;

use arrow_array::RecordBatch;
use callmeter_records::rates::RateRow;
use callmeter_records::{
    BatchHead, BatchSeq, BillingView, Change, Rate, RatesBuilder, RatesView, RowMark, Stream,
};

use crate::checksum::{self, RowChecksum};
use crate::database::connection::Connection;
use crate::database::error::DatabaseResult;
use crate::database::upsert::upsert;
use crate::database::value::values;
use crate::error::{JournalError, Result};
use crate::ingest::identity::rate_key;
use crate::journal::Journal;
use crate::log::accounts::{self, AccountRow};
use crate::log::batch_row::{BatchRow, COLUMNS};
use crate::log::codec::{self, Packer};
use crate::log::reader::Reader;
use crate::log::schema_ids::{read_schema, schema_id};
use crate::stored_batch::StoredBatch;

/// A rate deck, and the currency of its prices.
#[derive(Clone, Debug, Default)]
pub struct DeckState {
    has_rates: bool,
    has_billing: bool,
    currency: Option<String>,
    batches: Vec<RecordBatch>,
    /// The batch and the row of each rate.
    places: HashMap<String, (usize, usize)>,
}

/// Batches that are kept before their rates are gathered in one.
const MANY_BATCHES: usize = 64;

impl DeckState {
    /// Whether the deck was read, with or without rates.
    pub fn has_rates(&self) -> bool {
        self.has_rates
    }

    /// How many rates it has.
    pub fn rates(&self) -> usize {
        self.places.len()
    }

    /// Whether the billing settings were read, with or without a currency.
    pub fn has_billing(&self) -> bool {
        self.has_billing
    }

    /// The last currency that was known.
    pub fn currency(&self) -> Option<&str> {
        self.currency.as_deref()
    }

    /// Takes in the next batch of the account, whatever its stream. True if the deck or the
    /// currency may have changed.
    pub fn apply(&mut self, batch: &StoredBatch) -> Result<bool> {
        let seq = batch.meta.seq;
        self.apply_records(batch.meta.stream, &batch.records)
            .map_err(|source| JournalError::View {
                seq,
                stream: batch.meta.stream,
                source,
            })
    }

    fn apply_records(
        &mut self,
        stream: Stream,
        records: &RecordBatch,
    ) -> Result<bool, callmeter_records::ViewError> {
        match stream {
            Stream::Rates => {
                let view = RatesView::new(records)?;
                self.has_rates = true;
                let batch = self.batches.len();
                self.batches.push(records.clone());
                for (row, rate) in view.rows().enumerate() {
                    let key = rate_key(&rate.to_record());
                    if rate.change() == Some(Change::Removed) {
                        self.places.remove(&key);
                    } else {
                        self.places.insert(key, (batch, row));
                    }
                }
                if self.batches.len() > MANY_BATCHES
                    && let Ok(gathered) = self.gather()
                {
                    self.batches.clear();
                    self.places.clear();
                    self.apply_records(Stream::Rates, &gathered)?;
                }
            }
            Stream::Billing => {
                let view = BillingView::new(records)?;
                for row in view.rows() {
                    self.has_billing = true;
                    if let Some(currency) = row.currency().filter(|text| !text.is_empty()) {
                        self.currency = Some(currency.to_owned());
                    }
                }
            }
            Stream::Calls | Stream::Balances | Stream::Charges => return Ok(false),
        }
        Ok(true)
    }

    /// Passes every rate on, in the order in which they were journaled.
    pub fn for_each_rate(&self, mut each: impl FnMut(&Rate<'_>)) {
        self.for_each_row(|row| each(&row.to_record()));
    }

    fn for_each_row(&self, mut each: impl FnMut(&RateRow<'_, '_>)) {
        let mut places: Vec<_> = self.places.values().copied().collect();
        places.sort_unstable();
        // A batch without the columns of rates was refused when it came.
        let views: Vec<_> = self.batches.iter().map(RatesView::new).collect();
        for (batch, row) in places {
            let view = views.get(batch).and_then(|view| view.as_ref().ok());
            if let Some(row) = view.and_then(|view| view.row(row)) {
                each(&row);
            }
        }
    }

    /// All rates as one batch.
    fn gather(&self) -> Result<RecordBatch, arrow_schema::ArrowError> {
        let mut builder = RatesBuilder::new();
        self.for_each_row(|row| {
            let mark = RowMark {
                revision: row.revision(),
                change: row.change().unwrap_or(Change::New),
            };
            builder.append(mark, &row.to_record());
        });
        builder.finish(&BatchHead {
            account: "",
            first_sequence: 1,
            observed_at: 0,
        })
    }
}

impl Reader {
    /// The rate deck of an account after batch `through`.
    pub fn deck_state(&mut self, account: &str, through: BatchSeq) -> Result<DeckState> {
        // One consistent state: retention may move batches into the stored deck.
        self.snapshot(|reader| reader.read_deck_state(account, through))?
    }

    fn read_deck_state(&mut self, account: &str, through: BatchSeq) -> Result<DeckState> {
        let Some(account) = accounts::read_by_name(&self.conn, account)? else {
            return Ok(DeckState::default());
        };
        let mut state = read_stored(&self.conn, account.id)?.unwrap_or_default();
        let mut after = BatchSeq::START;
        let streams = [Stream::Rates, Stream::Billing];
        while let Some(batch) = self.next_of_deck(&account, streams, after)? {
            after = batch.meta.seq;
            if after > through {
                break;
            }
            state.apply(&batch)?;
        }
        Ok(state)
    }

    /// The next batch of rates, or of billing settings, of an account after `after`.
    pub fn next_deck_change(
        &mut self,
        account: &str,
        stream: Stream,
        after: BatchSeq,
    ) -> Result<Option<StoredBatch>> {
        match accounts::read_by_name(&self.conn, account)? {
            Some(account) => self.next_of_deck(&account, [stream, stream], after),
            None => Ok(None),
        }
    }

    fn next_of_deck(
        &mut self,
        account: &AccountRow,
        streams: [Stream; 2],
        after: BatchSeq,
    ) -> Result<Option<StoredBatch>> {
        self.load(
            &format!(
                "SELECT {COLUMNS}, payload FROM batches WHERE stream IN ({}, {}) AND account = ?
                 AND seq > ? ORDER BY seq LIMIT 1",
                streams[0].code(),
                streams[1].code()
            ),
            values![account.id, after.to_sql()],
        )
    }
}

impl Journal {
    /// See [`Reader::deck_state`].
    pub fn deck_state(&self, account: &str, through: BatchSeq) -> Result<DeckState> {
        self.log
            .with_reader(|reader| reader.deck_state(account, through))
    }

    /// See [`Reader::next_deck_change`].
    pub fn next_deck_change(
        &self,
        account: &str,
        stream: Stream,
        after: BatchSeq,
    ) -> Result<Option<StoredBatch>> {
        self.log
            .with_reader(|reader| reader.next_deck_change(account, stream, after))
    }
}

/// The deck that retention has kept of an account.
fn read_stored(conn: &Connection, account: i64) -> Result<Option<DeckState>> {
    type Stored = (bool, bool, Option<String>, i64, Vec<u8>, i64);
    let row: Option<Stored> = conn
        .first(
            "SELECT has_rates, has_billing, currency, schema, rates, checksum FROM decks
             WHERE account = ?",
            values![account],
            |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                ))
            },
        )
        .map_err(|source| conn.failed("read", source))?;
    let Some((has_rates, has_billing, currency, schema, rates, sum)) = row else {
        return Ok(None);
    };
    let mut state = DeckState {
        has_rates,
        has_billing,
        currency,
        ..DeckState::default()
    };
    let damaged = || conn.corrupt(format!("the deck of account {account}"));
    if row_checksum(account, &state, schema, &rates) != sum {
        return Err(damaged());
    }
    let schema = read_schema(conn, schema).ok_or_else(damaged)?;
    let records = codec::unpack(&rates, &schema).map_err(|_| damaged())?;
    state
        .apply_records(Stream::Rates, &records)
        .map_err(|_| damaged())?;
    state.has_rates = has_rates;
    Ok(Some(state))
}

/// Keeps what batches of rates and billing settings say, before retention deletes them. `deleted`
/// are their accounts and numbers, in order.
pub(crate) fn keep(conn: &Connection, deleted: &[(i64, i64)]) -> Result<()> {
    let sql = |source| conn.failed("delete old batches of", source);
    let mut states: HashMap<i64, DeckState> = HashMap::new();
    for (account, seq) in deleted {
        let known = states.remove(account);
        let mut state = match known {
            Some(state) => state,
            None => read_stored(conn, *account)?.unwrap_or_default(),
        };
        if !take_in(conn, &mut state, *seq).map_err(sql)? {
            // Whoever reads the batch got the error; retention must go on.
            tracing::warn!(batch = seq, journal = %conn.location(), "a damaged batch is not in the rate deck that retention keeps");
        }
        states.insert(*account, state);
    }
    for (account, state) in states {
        let pack = |source| JournalError::Pack {
            stream: Stream::Rates,
            source,
        };
        let rates = Packer::default()
            .pack(&state.gather().map_err(pack)?)
            .map_err(pack)?;
        let schema = schema_id(conn, Stream::Rates).map_err(sql)?;
        let sum = row_checksum(account, &state, schema, &rates);
        conn.execute(
            upsert!("decks" ("account") "has_rates", "has_billing", "currency", "schema", "rates"),
            values![
                account,
                state.has_rates,
                state.has_billing,
                state.currency.as_deref(),
                schema,
                &rates,
                sum
            ],
        )
        .map_err(sql)?;
    }
    Ok(())
}

/// Takes in a stored batch; false if it is damaged.
fn take_in(conn: &Connection, state: &mut DeckState, seq: i64) -> DatabaseResult<bool> {
    let (row, sum, payload) = conn.only(
        &format!("SELECT {COLUMNS}, payload FROM batches WHERE seq = ?"),
        values![seq],
        |row| {
            let (read, sum) = BatchRow::read(row)?;
            Ok((read, sum, row.get::<Vec<u8>>(14)?))
        },
    )?;
    let is_intact = row.matches(sum) && checksum::blob(&payload) == row.payload_checksum;
    let stream = u8::try_from(row.stream).ok().and_then(Stream::from_code);
    let (Some(stream), true) = (stream, is_intact) else {
        return Ok(false);
    };
    let Some(schema) = read_schema(conn, row.schema) else {
        return Ok(false);
    };
    let records = codec::unpack(&payload, &schema).ok();
    Ok(records.is_some_and(|records| state.apply_records(stream, &records).is_ok()))
}

fn row_checksum(account: i64, state: &DeckState, schema: i64, rates: &[u8]) -> i64 {
    RowChecksum::of("decks")
        .int(account)
        .int(state.has_rates.into())
        .int(state.has_billing.into())
        .int(state.currency.is_some().into())
        .text(state.currency.as_deref().unwrap_or_default())
        .int(schema)
        .int(checksum::blob(rates))
        .finish()
}

/// Whether all kept decks can be read: a finding for each that cannot.
pub(crate) fn check_stored(conn: &Connection, account: i64) -> Result<()> {
    read_stored(conn, account).map(drop)
}
