//! The charges of a batch of calls: a pure function of the batch, the deck, and the rules.

use std::collections::HashMap;
use std::time::Duration;

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
const INTERNAL: &str = "internal";
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
    if !selects(rule, call) {
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

fn selects(rule: &Rule, call: &CallRow<'_, '_>) -> bool {
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

/// The charges of versions of calls before the ones of this batch.
#[derive(Default)]
pub(crate) struct EarlierCharges {
    by_rule: HashMap<(String, Vec<u8>), Earlier>,
}

struct Earlier {
    revision: i32,
    client_id: Option<String>,
    rate_type: Option<String>,
    currency: Option<String>,
    billed_seconds: Option<i32>,
    amount: Option<i128>,
    /// Whether an edit has taken the call from the rule.
    is_removed: bool,
}

impl EarlierCharges {
    /// Takes in the charges of a batch.
    pub(crate) fn add(&mut self, view: &ChargesView<'_>) {
        for row in view.rows() {
            let (Some(rule), Some(id)) = (row.rule(), row.call_id()) else {
                continue;
            };
            let key = (rule.to_owned(), CanonicalId::new(id).as_bytes().to_vec());
            self.by_rule.insert(key, Earlier::of(&row));
        }
    }

    fn find(&self, rule: &str, call: &CallRow<'_, '_>) -> Option<&Earlier> {
        if call.change() != Some(Change::Revised) {
            return None;
        }
        let id = CanonicalId::new(call.id()?).as_bytes().to_vec();
        self.by_rule.get(&(rule.to_owned(), id))
    }
}

impl Earlier {
    fn of(row: &ChargeRow<'_, '_>) -> Self {
        Self {
            revision: row.revision(),
            client_id: row.client_id().map(str::to_owned),
            rate_type: row.rate_type().map(str::to_owned),
            currency: row.currency().map(str::to_owned),
            billed_seconds: row.billed_seconds(),
            amount: row.amount(),
            is_removed: row.change() == Some(Change::Removed),
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
    for call in view.rows() {
        for rule in &entry.rules {
            let before = earlier.find(&rule.name, &call);
            let charged = charge_call(&call, rule, entry, &priced.deck);
            let change = match (&charged, before) {
                (Some(_), None) => Change::New,
                (Some(_), Some(_)) => Change::Revised,
                (None, Some(before)) if !before.is_removed => Change::Removed,
                (None, _) => continue,
            };
            let mark = RowMark {
                revision: before.map_or(0, |before| before.revision.saturating_add(1)),
                change,
            };
            append(
                &mut done,
                mark,
                &call,
                rule,
                (entry, priced),
                charged,
                before,
            );
        }
    }
    done
}

fn append(
    done: &mut BatchCharges,
    mark: RowMark,
    call: &CallRow<'_, '_>,
    rule: &Rule,
    (entry, priced): (&Charging, &Priced),
    charged: Option<Charged<'_>>,
    before: Option<&Earlier>,
) {
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
        rule: Some(&rule.name),
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
