//! Records of rates from those of the client.

use std::collections::HashMap;

use callmeter_records::Rate;
use portsip_client::{Amount, CallRate};

use super::amount::nano;

/// The rates that were read, each prefix once.
pub(crate) struct OwnedDeck {
    rates: Vec<(CallRate, RateTexts)>,
    /// Rates with the prefix of another one. The same one counts in whatever order they come, or
    /// else each poll would find an edited rate.
    pub(crate) repeated: u64,
}

impl OwnedDeck {
    pub(crate) fn new(rates: impl Iterator<Item = CallRate>) -> Self {
        let mut places = HashMap::new();
        let mut deck = Self {
            rates: Vec::new(),
            repeated: 0,
        };
        for rate in rates {
            let prefix = text(rate.prefix.as_deref()).unwrap_or_default().to_owned();
            let texts = RateTexts::new(&rate);
            let place = *places.entry(prefix).or_insert(deck.rates.len());
            match deck.rates.get_mut(place) {
                None => deck.rates.push((rate, texts)),
                Some(first) => {
                    deck.repeated += 1;
                    if format!("{rate:?}") < format!("{:?}", first.0) {
                        *first = (rate, texts);
                    }
                }
            }
        }
        deck
    }

    /// All rates, also those with the prefix of another.
    pub(crate) fn with_repeats(rates: impl Iterator<Item = CallRate>) -> Self {
        let with_texts = |rate| {
            let texts = RateTexts::new(&rate);
            (rate, texts)
        };
        Self {
            rates: rates.map(with_texts).collect(),
            repeated: 0,
        }
    }

    /// The records of all rates.
    pub(crate) fn records(&self) -> Vec<Rate<'_>> {
        self.rates
            .iter()
            .map(|(rate, texts)| texts.record(rate))
            .collect()
    }
}

/// A text as both sources have it: the export trims it, and has none where the list has an empty
/// one.
fn text(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// The texts of those members of a rate that have another type in the client.
struct RateTexts {
    rate_type: Option<String>,
    connect_fee: Option<String>,
    postcall_surcharge: Option<String>,
    price_1: Option<String>,
    price_n: Option<String>,
}

impl RateTexts {
    fn new(rate: &CallRate) -> Self {
        let text = |amount: Option<Amount>| amount.map(|amount| amount.to_string());
        Self {
            rate_type: rate.type_.as_ref().map(ToString::to_string),
            connect_fee: text(rate.connect_fee),
            postcall_surcharge: text(rate.postcall_surcharge),
            price_1: text(rate.price_1),
            price_n: text(rate.price_n),
        }
    }

    fn record<'r>(&'r self, rate: &'r CallRate) -> Rate<'r> {
        Rate {
            id: rate.id.as_deref(),
            prefix: text(rate.prefix.as_deref()),
            rate_type: self.rate_type.as_deref(),
            free_seconds: rate.free_seconds.into(),
            grace_period: rate.grace_period.into(),
            interval_1: rate.interval_1.into(),
            interval_n: rate.interval_n.into(),
            connect_fee: nano(rate.connect_fee, self.connect_fee.as_deref()),
            postcall_surcharge: nano(rate.postcall_surcharge, self.postcall_surcharge.as_deref()),
            price_1: nano(rate.price_1, self.price_1.as_deref()),
            price_n: nano(rate.price_n, self.price_n.as_deref()),
            description: text(rate.description.as_deref()),
        }
    }
}
