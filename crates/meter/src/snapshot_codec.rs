//! The totals as bytes, which the journal stores so that a start need not count all records again.
//!
//! Equal totals give equal bytes, whether they were counted in one run or read back in between.
//! Layout (numbers are LEB128 varints, signed ones zigzag, texts length + UTF-8): magic, version,
//! bucket layout, batches counted, accounts, xxh3 of everything before.

use std::borrow::Cow;

use callmeter_records::{CallField, Direction};
use xxhash_rust::xxh3::xxh3_64;

use crate::charge_totals::{ChargeKey, ChargeTotals};
use crate::counted_call::{CallTime, Count, UNKNOWN_ID};
use crate::folding::{Folded, Limits};
use crate::histogram::{BUCKETS, HistogramColumn, NATIVE_SCHEMA};
use crate::hours::HourFigures;
use crate::label_text::bounded;
use crate::ledger::{Account, Ledger};
use crate::operators::Operators;
use crate::table::{CallTimes, Columns as _};
use crate::totals::AccountTotals;

const MAGIC: &[u8; 4] = b"CMtr";
const VERSION: u64 = 4;
/// The first version. It has no count of calls of which it is unknown whether they were answered.
const VERSION_WITHOUT_UNKNOWN: u64 = 1;
/// Versions up to this one have histograms by client and direction, without the times of answered
/// and unanswered calls, and nothing by hour or operator.
const VERSION_BY_CLIENT: u64 = 2;
/// Versions up to this one have no charges.
const VERSION_WITHOUT_CHARGES: u64 = 3;

/// The number of a direction is its index here. It is part of the format, unlike the enum's order.
const DIRECTIONS: [Direction; 5] = [
    Direction::Incoming,
    Direction::Outgoing,
    Direction::Transfer,
    Direction::Unknown,
    Direction::Other,
];

/// Why totals cannot be read from bytes. In every case the journal's records can be counted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// The bytes do not start with the magic number.
    #[error("not a snapshot of the meter's totals")]
    NotABlob,
    /// Written in another version of the format.
    #[error("snapshot of the meter's totals in version {0}, which this program does not read")]
    Version(u64),
    /// Truncated or modified.
    #[error("snapshot of the meter's totals is damaged")]
    Damaged,
}

impl Ledger {
    /// The totals as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer(MAGIC.to_vec());
        out.number(VERSION);
        out.number(BUCKETS as u64);
        out.signed(NATIVE_SCHEMA.into());
        out.number(self.applied.through);
        out.length(self.applied.beyond.len());
        for batch in &self.applied.beyond {
            out.number(*batch);
        }
        let accounts = || {
            self.accounts
                .values()
                .filter(|one| one.totals.has_records())
        };
        out.length(accounts().count());
        for account in accounts() {
            encode_account(&mut out, &account.totals);
        }
        let sum = xxh3_64(&out.0);
        out.0.extend_from_slice(&sum.to_le_bytes());
        out.0
    }

    /// Whether the bytes are in an older version of the format: they lack figures, which only
    /// counting the records again gives.
    pub fn is_outdated(bytes: &[u8]) -> bool {
        let mut input = Reader(bytes.strip_prefix(MAGIC).unwrap_or_default());
        input.number().is_ok_and(|version| version < VERSION)
    }

    /// Reads what [`encode`](Self::encode) wrote. No account is configured yet.
    ///
    /// Of an older version, all totals are kept. Figures that it lacks start at 0.
    pub fn decode(bytes: &[u8], limits: Limits) -> Result<Self, BlobError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(BlobError::NotABlob)?;
        let (_, sum) = bytes.split_last_chunk().ok_or(BlobError::Damaged)?;
        let body = rest
            .get(..rest.len().wrapping_sub(sum.len()))
            .ok_or(BlobError::Damaged)?;
        let mut input = Reader(body);
        let version = input.number()?;
        if !(VERSION_WITHOUT_UNKNOWN..=VERSION).contains(&version) {
            return Err(BlobError::Version(version));
        }
        let summed = bytes.get(..bytes.len() - sum.len()).map(xxh3_64);
        if summed != Some(u64::from_le_bytes(*sum)) {
            return Err(BlobError::Damaged);
        }
        if input.number()? != BUCKETS as u64 || input.signed()? != i128::from(NATIVE_SCHEMA) {
            return Err(BlobError::Version(version));
        }
        let mut ledger = Self::new(limits);
        ledger.applied.through = input.number()?;
        for _ in 0..input.length()? {
            ledger.applied.beyond.insert(input.number()?);
        }
        for _ in 0..input.length()? {
            let mut totals = decode_account(&mut input, version)?;
            if !limits.operators {
                totals.operators = Operators::new(&totals.name);
            }
            let name: Box<str> = totals.name.as_str().into();
            let mut account = Account::new(&name);
            account.totals = totals;
            ledger.accounts.insert(name, account);
        }
        if input.0.is_empty() {
            Ok(ledger)
        } else {
            Err(BlobError::Damaged)
        }
    }
}

fn encode_account(out: &mut Writer, totals: &AccountTotals) {
    out.text(&totals.name);
    out.number(totals.revised);
    out.number(totals.without_id);
    for time in [totals.counting_since, totals.last_event] {
        out.time(time);
    }
    for folded in totals.folded.0 {
        out.number(folded);
    }
    let rows = totals.calls.used();
    out.length(rows.len());
    for ((client, center, direction), row) in rows {
        out.text(client);
        out.text(center);
        out.number(direction_number(direction));
        if let Some((chunk, place)) = totals.calls.counts.table.row(row) {
            out.signed(chunk.created.get(place).copied().unwrap_or(0).into());
            for column in &chunk.columns.columns {
                out.number(column.get(place).copied().unwrap_or(0));
            }
        }
        if let Some((chunk, place)) = totals.calls.times.row(row) {
            for column in &chunk.columns.columns {
                encode_histogram(out, column, place);
            }
        }
    }
    let amounts = &totals.missing;
    out.length(amounts.rows.len());
    for (field, row) in &amounts.rows {
        out.length(field.index());
        out.signed(amounts.table.amount(*row));
    }
    let amounts = &totals.corrected_times;
    out.length(amounts.rows.len());
    for ((client, center, direction, time), row) in &amounts.rows {
        out.text(client);
        out.text(center);
        out.number(direction_number(*direction));
        out.length(time.index());
        out.signed(amounts.table.amount(*row));
    }
    let amounts = &totals.corrected_counts;
    out.length(amounts.rows.len());
    for ((client, center, direction, count), row) in &amounts.rows {
        out.text(client);
        out.text(center);
        out.number(direction_number(*direction));
        out.number(*count as u64);
        out.signed(amounts.table.amount(*row));
    }
    let amounts = &totals.rates_changed;
    out.length(amounts.rows.len());
    for ((rate_type, change), row) in &amounts.rows {
        out.text(rate_type);
        out.text(change);
        out.signed(amounts.table.amount(*row));
    }
    for amounts in &totals.operators.tables {
        out.length(amounts.rows.len());
        for (name, row) in &amounts.rows {
            out.text(name);
            out.signed(amounts.table.amount(*row));
        }
    }
    out.length(totals.hours.0.len());
    for (hour, figures) in &totals.hours.0 {
        out.signed((*hour).into());
        for number in [figures.answered, figures.in_time, figures.abandoned] {
            out.signed(number.into());
        }
    }
    encode_charges(out, &totals.charges);
}

fn encode_charges(out: &mut Writer, charges: &ChargeTotals) {
    for (money, seconds) in [
        (&charges.money, &charges.seconds),
        (&charges.corrected_money, &charges.corrected_seconds),
    ] {
        out.length(money.rows.len());
        for (key, row) in &money.rows {
            out.text(&key.0);
            out.text(&key.1);
            out.text(&key.2);
            out.signed(money.table.amount(*row));
            // Both tables have the same rows.
            out.signed(seconds.table.amount(*row));
        }
    }
    out.length(charges.not_charged.rows.len());
    for (reason, row) in &charges.not_charged.rows {
        out.text(reason);
        out.signed(charges.not_charged.table.amount(*row));
    }
}

fn decode_charges(input: &mut Reader<'_>, totals: &mut AccountTotals) -> Result<(), BlobError> {
    let since = totals.counting_since;
    let account = totals.name.clone();
    let key = |input: &mut Reader<'_>| -> Result<ChargeKey, BlobError> {
        Ok((
            input.label()?.into(),
            input.label()?.into(),
            input.label()?.into(),
        ))
    };
    let charges = &mut totals.charges;
    for _ in 0..input.length()? {
        let key = key(input)?;
        charges.add(&account, &key, since, input.signed()?, input.signed()?);
    }
    for _ in 0..input.length()? {
        let key = key(input)?;
        charges.correct(&account, &key, input.signed()?, input.signed()?);
    }
    for _ in 0..input.length()? {
        let reason = input.label()?;
        charges.add_not_charged(&account, &reason, since, input.signed()?);
    }
    Ok(())
}

fn decode_account(input: &mut Reader<'_>, version: u64) -> Result<AccountTotals, BlobError> {
    let mut totals = AccountTotals::new(input.text()?);
    totals.revised = input.number()?;
    totals.without_id = input.number()?;
    let since = input.time()?;
    totals.set_counting_since(since);
    totals.last_event = input.time()?;
    let folded = decode_folded(input, version)?;
    if version > VERSION_BY_CLIENT {
        decode_rows(input, &mut totals)?;
    } else {
        decode_rows_by_client(input, &mut totals, version)?;
    }
    for _ in 0..input.length()? {
        let field = pick(&CallField::ALL, input.number()?)?;
        let values = input.signed()?;
        totals.miss(
            field,
            u64::try_from(values).map_err(|_| BlobError::Damaged)?,
        );
    }
    for _ in 0..input.length()? {
        let client = input.label()?;
        let center = if version > VERSION_BY_CLIENT {
            input.label()?
        } else {
            center_of(&totals, &client).into()
        };
        let direction = input.direction()?;
        let time = pick(&CallTime::ALL, input.number()?)?;
        let key = (client.into(), center.into(), direction, time);
        totals.add_time_correction(&key, input.signed()?);
    }
    for _ in 0..input.length()? {
        let (client, center) = (input.label()?.into(), input.label()?.into());
        let direction = input.direction()?;
        let key = (
            client,
            center,
            direction,
            pick(&Count::ALL, input.number()?)?,
        );
        totals.add_count_correction(&key, input.signed()?);
    }
    for _ in 0..input.length()? {
        let key = (input.label()?.into(), input.label()?.into());
        totals.add_rate_change(&key, input.signed()?);
    }
    if version > VERSION_BY_CLIENT {
        decode_people_and_hours(input, &mut totals)?;
    }
    if version > VERSION_WITHOUT_CHARGES {
        decode_charges(input, &mut totals)?;
    }
    totals.folded = folded;
    Ok(totals)
}

fn decode_folded(input: &mut Reader<'_>, version: u64) -> Result<Folded, BlobError> {
    let mut folded = Folded::default();
    let calls = input.number()?;
    if version <= VERSION_BY_CLIENT {
        // Updates of histograms were counted on their own; nothing was about operators.
        input.number()?;
    }
    let others = match version {
        ..=VERSION_BY_CLIENT => 3,
        VERSION_WITHOUT_CHARGES => 4,
        _ => folded.0.len() - 1,
    };
    for (place, updates) in folded.0.iter_mut().enumerate() {
        *updates = match place {
            0 => calls,
            _ if place <= others => input.number()?,
            _ => 0,
        };
    }
    Ok(folded)
}

fn decode_rows(input: &mut Reader<'_>, totals: &mut AccountTotals) -> Result<(), BlobError> {
    for _ in 0..input.length()? {
        let (client, center) = (input.label()?, input.label()?);
        let direction = input.direction()?;
        let created = input.signed_64()?;
        let row = totals.use_row((&client, &center, direction), created, Limits::NONE);
        for count in Count::ALL.into_iter().take(Count::COUNTERS) {
            totals.calls.add_count(row, count, input.number()?);
        }
        let mut times = one_row();
        for column in &mut times.columns {
            decode_histogram(input, column, 0)?;
        }
        totals.calls.merge_times(row, &times, 0);
    }
    Ok(())
}

/// The rows of an older version: counters by client, center and direction, histograms by client and
/// direction.
fn decode_rows_by_client(
    input: &mut Reader<'_>,
    totals: &mut AccountTotals,
    version: u64,
) -> Result<(), BlobError> {
    for _ in 0..input.length()? {
        let (client, center) = (input.label()?, input.label()?);
        let direction = input.direction()?;
        let created = input.signed_64()?;
        let row = totals.use_row((&client, &center, direction), created, Limits::NONE);
        for count in [Count::Calls, Count::Unanswered, Count::Flagged] {
            totals.calls.add_count(row, count, input.number()?);
        }
        if version > VERSION_WITHOUT_UNKNOWN {
            let calls = input.number()?;
            totals.calls.add_count(row, Count::AnswerUnknown, calls);
        }
    }
    for _ in 0..input.length()? {
        let client = input.label()?;
        let direction = input.direction()?;
        let created = input.signed_64()?;
        let center = center_of(totals, &client);
        let mut times = one_row();
        for column in times.columns.iter_mut().take(CallField::ALL.len()) {
            decode_histogram(input, column, 0)?;
        }
        let row = totals.use_row((&client, &center, direction), created, Limits::NONE);
        totals.calls.merge_times(row, &times, 0);
    }
    Ok(())
}

/// The center for figures of an older version, which had none: the client's only one, or unknown.
fn center_of(totals: &AccountTotals, client: &str) -> String {
    let only = totals.calls.only_center(client);
    only.unwrap_or(UNKNOWN_ID).to_owned()
}

fn one_row() -> CallTimes {
    let mut times = CallTimes::default();
    times.push();
    times
}

fn decode_people_and_hours(
    input: &mut Reader<'_>,
    totals: &mut AccountTotals,
) -> Result<(), BlobError> {
    let since = totals.counting_since;
    for table in 0..totals.operators.tables.len() {
        for _ in 0..input.length()? {
            let name: Box<str> = input.label()?.into();
            let units = input.signed()?;
            totals.operators.add(table, &name, since, units);
        }
    }
    for _ in 0..input.length()? {
        let hour = input.signed_64()?;
        let figures = HourFigures {
            answered: input.signed_64()?,
            in_time: input.signed_64()?,
            abandoned: input.signed_64()?,
        };
        totals.hours.0.insert(hour, figures);
    }
    Ok(())
}

fn direction_number(direction: Direction) -> u64 {
    let place = DIRECTIONS.iter().position(|one| *one == direction);
    place.unwrap_or(DIRECTIONS.len()) as u64
}

fn encode_histogram(out: &mut Writer, column: &HistogramColumn, place: usize) {
    let Some(row) = column.row(place) else { return };
    for count in row.buckets {
        out.number(*count);
    }
    out.signed(row.sum_ms);
    out.length(column.native_raw(place).count());
    for (index, count) in column.native_raw(place) {
        out.signed(index.into());
        out.number(count);
    }
}

fn decode_histogram(
    input: &mut Reader<'_>,
    column: &mut HistogramColumn,
    place: usize,
) -> Result<(), BlobError> {
    for bucket in 0..BUCKETS {
        column.add_classic(place, bucket, input.number()?);
    }
    column.add_sum(place, input.signed()?);
    for _ in 0..input.length()? {
        let index = i16::try_from(input.signed()?).map_err(|_| BlobError::Damaged)?;
        column.add_native(place, index, input.number()?);
    }
    Ok(())
}

fn pick<T: Copy>(all: &[T], number: u64) -> Result<T, BlobError> {
    let place = usize::try_from(number).map_err(|_| BlobError::Damaged)?;
    all.get(place).copied().ok_or(BlobError::Damaged)
}

struct Writer(Vec<u8>);

impl Writer {
    fn wide(&mut self, mut number: u128) {
        loop {
            let low = u8::try_from(number & 0x7f).unwrap_or(0);
            number >>= 7;
            if number == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    fn number(&mut self, number: u64) {
        self.wide(number.into());
    }

    fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    fn signed(&mut self, number: i128) {
        self.wide((number << 1).cast_unsigned() ^ (number >> 127).cast_unsigned());
    }

    fn time(&mut self, time: Option<i64>) {
        self.number(u64::from(time.is_some()));
        self.signed(time.unwrap_or(0).into());
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn wide(&mut self) -> Result<u128, BlobError> {
        let mut number = 0_u128;
        let mut shift = 0;
        loop {
            let (byte, rest) = self.0.split_first().ok_or(BlobError::Damaged)?;
            self.0 = rest;
            let low = u128::from(byte & 0x7f);
            if shift >= u128::BITS || (low << shift) >> shift != low {
                return Err(BlobError::Damaged);
            }
            number |= low << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
    }

    fn number(&mut self) -> Result<u64, BlobError> {
        u64::try_from(self.wide()?).map_err(|_| BlobError::Damaged)
    }

    /// A number of items of at least one byte each: bounds the work that damaged bytes can cause.
    fn length(&mut self) -> Result<usize, BlobError> {
        let length = usize::try_from(self.number()?).map_err(|_| BlobError::Damaged)?;
        if length > self.0.len() {
            return Err(BlobError::Damaged);
        }
        Ok(length)
    }

    fn signed(&mut self) -> Result<i128, BlobError> {
        let number = self.wide()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn signed_64(&mut self) -> Result<i64, BlobError> {
        i64::try_from(self.signed()?).map_err(|_| BlobError::Damaged)
    }

    fn text(&mut self) -> Result<&'a str, BlobError> {
        let length = self.length()?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(BlobError::Damaged)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| BlobError::Damaged)
    }

    /// A label value. Older versions stored them at any length.
    fn label(&mut self) -> Result<Cow<'a, str>, BlobError> {
        self.text().map(bounded)
    }

    fn time(&mut self) -> Result<Option<i64>, BlobError> {
        let known = self.number()? != 0;
        let microseconds = self.signed_64()?;
        Ok(known.then_some(microseconds))
    }

    fn direction(&mut self) -> Result<Direction, BlobError> {
        pick(&DIRECTIONS, self.number()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_read_back(signed: i128, number: u64, text: String) {
            let mut out = Writer(Vec::new());
            out.signed(signed);
            out.number(number);
            out.text(&text);
            let mut input = Reader(&out.0);
            prop_assert_eq!(input.signed(), Ok(signed));
            prop_assert_eq!(input.number(), Ok(number));
            prop_assert_eq!(input.text(), Ok(text.as_str()));
            prop_assert!(input.0.is_empty());
        }

        #[test]
        fn any_damage_is_noticed(place in 0_usize..200, flip in 1_u8..) {
            let mut ledger = Ledger::new(Limits::default());
            ledger.totals("acme").rate_changed("local", callmeter_records::Change::New, Limits::default());
            ledger.totals("acme").revised = 7;
            let mut bytes = ledger.encode();
            let place = place % bytes.len();
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= flip;
            }
            prop_assert!(Ledger::decode(&bytes, Limits::default()).is_err());
        }

        #[test]
        fn noise_does_not_panic(bytes: Vec<u8>) {
            let mut blob = MAGIC.to_vec();
            blob.extend_from_slice(&[3, 15, 6]);
            blob.extend_from_slice(&bytes);
            let sum = xxh3_64(&blob);
            blob.extend_from_slice(&sum.to_le_bytes());
            let _ = Ledger::decode(&blob, Limits::default());
        }
    }
}
