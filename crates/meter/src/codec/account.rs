//! The totals of an account.

use callmeter_records::CallField;

use super::bytes::{BlobError, Reader, Writer, direction_number, pick};
use super::histograms::{decode_histogram, encode_histogram, one_row};
use super::versions::{
    VERSION_BY_CLIENT, VERSION_WITHOUT_CHARGES, VERSION_WITHOUT_SETTINGS, center_of, decode_folded,
    decode_rows_by_client,
};
use crate::charge_totals::{ChargeKey, ChargeTotals};
use crate::counted_call::{CallTime, Count};
use crate::folding::Limits;
use crate::hours::HourFigures;
use crate::totals::AccountTotals;

pub(super) fn encode_account(out: &mut Writer, totals: &AccountTotals) {
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
        out.signed(totals.calls.since(row).into());
        if let Some((chunk, place)) = totals.calls.counts.table.row(row) {
            out.signed(chunk.created.get(place).copied().unwrap_or(0).into());
            for column in &chunk.columns.columns {
                out.number(column.get(place).copied().unwrap_or(0));
            }
        }
        if let Some((times, place)) = totals.calls.times_of(row) {
            for column in &times.columns {
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
    out.length(totals.operators.since.len());
    for (name, since) in &totals.operators.since {
        out.text(name);
        out.signed((*since).into());
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
    for (money, seconds, since) in [
        (&charges.money, &charges.seconds, Some(&charges.since)),
        (&charges.corrected_money, &charges.corrected_seconds, None),
    ] {
        out.length(money.rows.len());
        for (key, row) in &money.rows {
            out.text(&key.0);
            out.text(&key.1);
            out.text(&key.2);
            out.signed(money.table.amount(*row));
            // Both tables have the same rows.
            out.signed(seconds.table.amount(*row));
            if let Some(since) = since {
                out.signed(since.get(key).copied().unwrap_or(0).into());
            }
        }
    }
    out.length(charges.not_charged.rows.len());
    for (reason, row) in &charges.not_charged.rows {
        out.text(reason);
        out.signed(charges.not_charged.table.amount(*row));
    }
}

fn decode_charges(
    input: &mut Reader<'_>,
    totals: &mut AccountTotals,
    version: u64,
) -> Result<(), BlobError> {
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
        let sequence = if version > VERSION_WITHOUT_SETTINGS {
            input.signed_64()?
        } else {
            0
        };
        charges.since.insert(key, sequence);
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

pub(super) fn decode_account(
    input: &mut Reader<'_>,
    version: u64,
) -> Result<AccountTotals, BlobError> {
    let mut totals = AccountTotals::new(input.text()?);
    totals.revised = input.number()?;
    totals.without_id = input.number()?;
    let since = input.time()?;
    totals.set_counting_since(since);
    totals.last_event = input.time()?;
    let folded = decode_folded(input, version)?;
    if version > VERSION_BY_CLIENT {
        decode_rows(input, &mut totals, version)?;
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
        decode_people_and_hours(input, &mut totals, version)?;
    }
    if version > VERSION_WITHOUT_CHARGES {
        decode_charges(input, &mut totals, version)?;
    }
    totals.folded = folded;
    Ok(totals)
}

fn decode_rows(
    input: &mut Reader<'_>,
    totals: &mut AccountTotals,
    version: u64,
) -> Result<(), BlobError> {
    for _ in 0..input.length()? {
        let (client, center) = (input.label()?, input.label()?);
        let direction = input.direction()?;
        let since = if version > VERSION_WITHOUT_SETTINGS {
            input.signed_64()?
        } else {
            0
        };
        let created = input.signed_64()?;
        let labels = (&*client, &*center, direction);
        let row = totals.use_row(labels, created, since, Limits::NONE);
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

fn decode_people_and_hours(
    input: &mut Reader<'_>,
    totals: &mut AccountTotals,
    version: u64,
) -> Result<(), BlobError> {
    let since = totals.counting_since;
    for table in 0..totals.operators.tables.len() {
        for _ in 0..input.length()? {
            let name: Box<str> = input.label()?.into();
            let units = input.signed()?;
            totals.operators.add(table, &name, since, units);
            if version <= VERSION_WITHOUT_SETTINGS {
                totals.operators.since.insert(name, 0);
            }
        }
    }
    if version > VERSION_WITHOUT_SETTINGS {
        for _ in 0..input.length()? {
            let name = input.label()?.into();
            let since = input.signed_64()?;
            totals.operators.since.insert(name, since);
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
