//! The charges of a batch of calls: a pure function of the batch, the deck, and the rules.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use callmeter_journal::{BatchSeq, RevisedRow};
use callmeter_rating::{Deck, NotCharged};
use callmeter_records::calls::CallRow;
use callmeter_records::charges::ChargeRow;
use callmeter_records::{
    CallsView, CanonicalId, Change, Charge, ChargesBuilder, ChargesView, Reading, RowMark,
};

use super::numbers::Dialled;
use crate::config::{Charging, NumberColumn, Rule};

/// A deck with what a charge says of it.
#[derive(Debug)]
pub(crate) struct Priced {
    pub(crate) deck: Deck,
    pub(crate) currency: Option<String>,
    pub(crate) fingerprint: String,
}

/// What a call costs by a rule.
#[derive(Debug)]
pub(crate) struct Charged<'d> {
    /// The time that is charged, in milliseconds; `None` if it is not known.
    pub(crate) millis: Option<i64>,
    /// The charge, or the reason why there is none.
    pub(crate) charge: Result<callmeter_rating::Charge<'d>, &'static str>,
}

/// The number is an extension.
pub(crate) const INTERNAL: &str = "internal";
/// Nobody answered.
const UNANSWERED: &str = "unanswered";
/// An edit made the call one that the rule does not select.
const NOT_SELECTED: &str = "not_selected";

/// What a call costs by a rule; `None` if the rule does not select it.
pub(crate) fn charge_call<'d>(
    call: &CallRow<'_, '_>,
    rule: &Rule,
    entry: &Charging,
    deck: &'d Deck,
) -> Option<Charged<'d>> {
    if !is_selected(call, rule) {
        return None;
    }
    let millis = charged_millis(rule, call);
    let charge = rate(call, rule, entry, deck, millis);
    Some(Charged { millis, charge })
}

fn rate<'d>(
    call: &CallRow<'_, '_>,
    rule: &Rule,
    entry: &Charging,
    deck: &'d Deck,
    millis: Option<i64>,
) -> Result<callmeter_rating::Charge<'d>, &'static str> {
    let number = number(rule, call).ok_or(NotCharged::NoNumber.name())?;
    let Dialled::Number(number) = entry.numbers.read(number) else {
        return Err(INTERNAL);
    };
    let is_unanswered =
        call.answered_by().is_none_or(str::is_empty) && call.talk_ms().is_some_and(|ms| ms == 0);
    if millis == Some(0) && is_unanswered {
        return Err(UNANSWERED);
    }
    let duration = millis
        .and_then(|millis| u64::try_from(millis).ok())
        .map(Duration::from_millis);
    let charge = deck.rate(&*number, duration).map_err(NotCharged::name)?;
    // The column has 32 bits.
    match i32::try_from(charge.billed_seconds) {
        Ok(_) => Ok(charge),
        Err(_) => Err(NotCharged::TooLarge.name()),
    }
}

/// Whether a rule selects a call.
pub(crate) fn is_selected(call: &CallRow<'_, '_>, rule: &Rule) -> bool {
    let is_direction = rule.directions.is_empty() || rule.directions.contains(&call.direction());
    let center = call.center_id().unwrap_or_default();
    let is_center = rule.centers.is_empty() || rule.centers.iter().any(|one| one == center);
    let is_transferred = rule.number != NumberColumn::TransferTo || number(rule, call).is_some();
    is_direction && is_center && is_transferred
}

fn number<'a>(rule: &Rule, call: &CallRow<'_, 'a>) -> Option<&'a str> {
    let number = match rule.number {
        NumberColumn::Caller => call.caller_number(),
        NumberColumn::TransferTo => call.transfer_to_number(),
    };
    number.filter(|number| !number.trim().is_empty())
}

/// The sum of the times of a rule; `None` if one of them is not known.
fn charged_millis(rule: &Rule, call: &CallRow<'_, '_>) -> Option<i64> {
    let durations = call.counted_durations();
    rule.times.iter().try_fold(0_i64, |sum, field| {
        let time = durations.get(field.index()).copied().flatten()?;
        sum.checked_add(time)
    })
}

/// The charges of the versions of calls that those of this batch revise. Each version of a call
/// that was ever charged has them, so only the version before counts.
#[derive(Default)]
pub(crate) struct EarlierCharges {
    /// The batch of the version before, by the row of this batch.
    before: HashMap<usize, BatchSeq>,
    of_calls: HashMap<(BatchSeq, Vec<u8>), Vec<Earlier>>,
}

struct Earlier {
    rule: String,
    sequence: i64,
    revision: i32,
    client_id: Option<String>,
    rate_type: Option<String>,
    currency: Option<String>,
    billed_seconds: Option<i32>,
    amount: Option<i128>,
}

impl EarlierCharges {
    /// For the revised rows of a batch.
    pub(crate) fn new(revised: &[RevisedRow]) -> Self {
        Self {
            before: revised.iter().map(|row| (row.row, row.batch)).collect(),
            of_calls: HashMap::new(),
        }
    }

    /// The batches of calls whose charges are needed.
    pub(crate) fn batches(&self) -> BTreeSet<BatchSeq> {
        self.before.values().copied().collect()
    }

    /// Takes in the charges of a batch of calls.
    pub(crate) fn add(&mut self, calls: BatchSeq, view: &ChargesView<'_>) {
        for row in view.rows() {
            let (Some(rule), Some(id)) = (row.rule(), row.call_id()) else {
                continue;
            };
            let key = (calls, CanonicalId::new(id).as_bytes().to_vec());
            let of_call = self.of_calls.entry(key).or_default();
            of_call.push(Earlier::of(rule, &row));
        }
    }

    /// The charges of the version of a call before this row.
    fn of(&self, row: usize, call: &CallRow<'_, '_>) -> &[Earlier] {
        let key = call.id().zip(self.before.get(&row)).map(|(id, batch)| {
            let id = CanonicalId::new(id).as_bytes().to_vec();
            (*batch, id)
        });
        let found = key.and_then(|key| self.of_calls.get(&key));
        found.map_or(&[], Vec::as_slice)
    }
}

impl Earlier {
    fn of(rule: &str, row: &ChargeRow<'_, '_>) -> Self {
        Self {
            rule: rule.to_owned(),
            sequence: row.sequence(),
            revision: row.revision(),
            client_id: row.client_id().map(str::to_owned),
            rate_type: row.rate_type().map(str::to_owned),
            currency: row.currency().map(str::to_owned),
            billed_seconds: row.billed_seconds(),
            amount: row.amount(),
        }
    }
}

/// The charges of a batch, and the earliest and latest start of their calls.
pub(crate) struct BatchCharges {
    pub(crate) charges: ChargesBuilder,
    pub(crate) span: Option<(i64, i64)>,
}

/// The charges of a batch of calls.
pub(crate) fn charge_batch(
    view: &CallsView<'_>,
    entry: &Charging,
    priced: &Priced,
    earlier: &EarlierCharges,
) -> BatchCharges {
    let mut done = BatchCharges {
        charges: ChargesBuilder::new(),
        span: None,
    };
    for (index, call) in view.rows().enumerate() {
        let before = earlier.of(index, &call);
        for rule in &entry.rules {
            let charged = charge_call(&call, rule, entry, &priced.deck);
            let before = before.iter().find(|before| before.rule == rule.name);
            if charged.is_some() || before.is_some() {
                append(
                    &mut done,
                    &call,
                    &rule.name,
                    (entry, priced),
                    charged,
                    before,
                );
            }
        }
        // The rules are the ones of now: what others have charged is taken back.
        for before in before {
            if !entry.rules.iter().any(|rule| rule.name == before.rule) {
                let rule = &before.rule;
                append(&mut done, &call, rule, (entry, priced), None, Some(before));
            }
        }
    }
    done
}

fn append(
    done: &mut BatchCharges,
    call: &CallRow<'_, '_>,
    rule: &str,
    (entry, priced): (&Charging, &Priced),
    charged: Option<Charged<'_>>,
    before: Option<&Earlier>,
) {
    let mark = RowMark {
        revision: before.map_or(0, |before| before.revision.saturating_add(1)),
        change: match (&charged, before) {
            (None, _) => Change::Removed,
            (Some(_), None) => Change::New,
            (Some(_), Some(_)) => Change::Revised,
        },
    };
    let charged = charged.unwrap_or(Charged {
        millis: None,
        charge: Err(NOT_SELECTED),
    });
    let charge = charged.charge.as_ref().ok();
    let prefix = charge.map(|charge| charge.matched_prefix.to_string());
    let known = |value: Option<i64>| value.map_or(Reading::Missing, Reading::Known);
    let start = call.start_time();
    let record = Charge {
        charge: Some(&entry.name),
        rule: Some(rule),
        call_id: call.id(),
        call_sequence: Reading::Known(call.sequence()),
        call_revision: Reading::Known(call.revision()),
        client_id: call.client_id(),
        client_name: call.client_name(),
        center_id: call.center_id(),
        start_time: known(start),
        direction: Some(call.direction().as_str()),
        charged_ms: known(charged.millis),
        rate_id: charge
            .map(|charge| charge.rate.id())
            .filter(|id| !id.is_empty()),
        rate_type: charge.and_then(|charge| charge.rate.rate_type()),
        prefix: prefix.as_deref(),
        billed_seconds: charge
            .and_then(|charge| i32::try_from(charge.billed_seconds).ok())
            .map_or(Reading::Missing, Reading::Known),
        amount: charge.map_or(Reading::Missing, |charge| {
            Reading::Known(nano(charge.amount))
        }),
        currency: charge.and(priced.currency.as_deref()),
        reason: charged.charge.as_ref().err().copied(),
        deck: Some(&priced.fingerprint),
        previous_sequence: known(before.map(|before| before.sequence)),
        previous_client_id: before.and_then(|before| before.client_id.as_deref()),
        previous_rate_type: before.and_then(|before| before.rate_type.as_deref()),
        previous_currency: before.and_then(|before| before.currency.as_deref()),
        previous_billed_seconds: before
            .and_then(|before| before.billed_seconds)
            .map_or(Reading::Missing, Reading::Known),
        previous_amount: before
            .and_then(|before| before.amount)
            .map_or(Reading::Missing, Reading::Known),
    };
    done.charges.append(mark, &record);
    if let Some(start) = start {
        let (min, max) = done.span.unwrap_or((start, start));
        done.span = Some((min.min(start), max.max(start)));
    }
}

/// An amount in the units of the journal's decimals.
pub(crate) fn nano(amount: callmeter_rating::Amount) -> i128 {
    i128::from(amount.units()) * 10_000
}

#[cfg(test)]
mod tests;
