//! What calls cost by the deck, stated for comparison: one search of the whole deck for each call,
//! one interval after the other.

use serde::{Deserialize, Serialize};

use crate::world::{CallId, Direction, View, Words};

/// What a call costs by one of the rules that callmeter has by default.
///
/// Numbers without `+` are American. Money is in units of 10⁻⁵.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeTruth {
    /// The call.
    pub id: String,
    /// Its client.
    pub client_id: String,
    /// `outgoing` or `transfers`.
    pub rule: String,
    /// The type of the rate; empty if the call is not charged.
    pub rate_type: String,
    /// What the call costs; `None` if it is not charged.
    pub amount: Option<i64>,
    /// The seconds that are charged.
    pub billed_seconds: i64,
    /// Changes with each edit of the call.
    pub version: String,
}

/// The figures of a rate; money in units of 10⁻⁵.
#[derive(Clone, Debug)]
pub(crate) struct TariffTruth {
    pub(crate) prefix: String,
    pub(crate) rate_type: &'static str,
    pub(crate) connect_fee: i64,
    pub(crate) price_1: i64,
    pub(crate) price_n: i64,
    pub(crate) surcharge: i64,
    pub(crate) interval_1: i64,
    pub(crate) interval_n: i64,
    pub(crate) free_seconds: i64,
    pub(crate) grace_period: i64,
}

/// The charges of all calls that are visible and over.
pub(crate) fn truth(view: &View<'_>, tariffs: &[TariffTruth]) -> Vec<ChargeTruth> {
    let mut charges = Vec::new();
    let people = &view.world.people;
    for (index, call) in view.visible(i64::MIN, i64::MAX) {
        if call.end() > view.now {
            continue;
        }
        let facts = view.facts(index, call);
        let words = Words::new(view.world.seed, index, call, &facts, people);
        let client = people.clients.get(call.client as usize);
        let mut add = |rule: &str, number: Option<String>, millis: u32| {
            // Nobody answered a call without talk: it costs nothing.
            let charged = number
                .filter(|_| millis > 0 || facts.answered())
                .and_then(|number| charge(&number, i64::from(millis.div_ceil(1_000)), tariffs));
            let (rate_type, amount, billed_seconds) = match charged {
                Some((rate_type, amount, billed)) => (rate_type, Some(amount), billed),
                None => ("", None, 0),
            };
            charges.push(ChargeTruth {
                id: CallId::new(view.world.seed, index).to_string(),
                client_id: client.map_or_else(String::new, |client| client.id.clone()),
                rule: rule.to_owned(),
                rate_type: rate_type.to_owned(),
                amount,
                billed_seconds,
                version: format!("{facts:?}"),
            });
        };
        if call.direction == Direction::Outgoing {
            add("outgoing", words.caller_number(), facts.talk);
        }
        if let Some(number) = words.transfer_to_number() {
            add("transfers", Some(number), facts.transfer);
        }
    }
    charges
}

fn charge(number: &str, seconds: i64, tariffs: &[TariffTruth]) -> Option<(&'static str, i64, i64)> {
    let mut digits: String = number.chars().filter(char::is_ascii_digit).collect();
    if !number.starts_with('+') {
        digits.insert(0, '1');
    }
    let tariff = tariffs
        .iter()
        .filter(|tariff| digits.starts_with(&tariff.prefix))
        .max_by_key(|tariff| tariff.prefix.len())?;
    if seconds < tariff.grace_period {
        return None;
    }
    let mut billed = 0;
    // Sixtieths of the amount before the surcharge.
    let mut sixtieths = i128::from(tariff.connect_fee) * 60;
    if seconds > 0 {
        billed = tariff.interval_1;
        sixtieths += i128::from(tariff.interval_1) * i128::from(tariff.price_1);
        let mut covered = tariff.interval_1 + tariff.free_seconds;
        while covered < seconds {
            covered += tariff.interval_n;
            billed += tariff.interval_n;
            sixtieths += i128::from(tariff.interval_n) * i128::from(tariff.price_n);
        }
    }
    let exact = sixtieths * i128::from(100_000 + tariff.surcharge);
    // Halves are rounded up.
    let amount = (exact * 2 + 6_000_000) / 12_000_000;
    Some((tariff.rate_type, i64::try_from(amount).ok()?, billed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worked_example() {
        let tariff = TariffTruth {
            prefix: "41".to_owned(),
            rate_type: "LOCAL",
            connect_fee: 10_000,
            price_1: 60_000,
            price_n: 30_000,
            surcharge: 5_000,
            interval_1: 60,
            interval_n: 30,
            free_seconds: 15,
            grace_period: 1,
        };
        let cost = |number: &str, seconds| charge(number, seconds, std::slice::from_ref(&tariff));
        assert_eq!(cost("+41 1", 185), Some(("LOCAL", 136_500, 180)));
        assert_eq!(cost("+41 1", 0), None);
        assert_eq!(cost("41 1", 60), None);
    }
}
