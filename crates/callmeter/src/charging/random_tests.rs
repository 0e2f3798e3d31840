//! Random calls, edits, decks, currencies, rules, names and caps: what is counted is what an
//! independent ledger says, under every label.

use std::collections::BTreeMap;

use callmeter_meter::{Api, FamilyId, Limits, Snapshot, Values, pairs};
use proptest::prelude::*;
use proptest::sample::select;

use super::test_rig::{Rig, rate};

#[derive(Clone, Debug)]
enum Step {
    /// A call, or an edit of it: client, direction, minutes.
    Call(&'static str, &'static str, &'static str, i64),
    /// Another price, in hundredths a minute; none: all rates are removed.
    Rates(Option<i128>),
    Currency(&'static str),
    /// The engine runs.
    Round,
    Restart,
    RenameEntry(&'static str),
    RenameRule(&'static str),
    Cap(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let call = (
        select(vec!["a", "b", "c", "d"]),
        select(vec!["1", "2", "3"]),
        select(vec!["Outgoing", "Outgoing", "Outgoing", "Incoming"]),
        0_i64..4,
    );
    prop_oneof![
        6 => call.prop_map(|(id, client, direction, minutes)| Step::Call(id, client, direction, minutes)),
        2 => proptest::option::weighted(0.8, 1_i128..4).prop_map(Step::Rates),
        2 => select(vec!["USD", "EUR"]).prop_map(Step::Currency),
        5 => Just(Step::Round),
        1 => Just(Step::Restart),
        1 => select(vec!["spend", "cost"]).prop_map(Step::RenameEntry),
        1 => select(vec!["outgoing", "out"]).prop_map(Step::RenameRule),
        1 => (0_usize..5).prop_map(Step::Cap),
    ]
}

/// A version of a call that the engine has not charged.
#[derive(Clone, Debug)]
struct Waiting {
    id: &'static str,
    client: &'static str,
    is_selected: bool,
    minutes: i64,
    price: Option<i128>,
    currency: Option<&'static str>,
}

/// Client and currency.
type Place = (String, String);

/// What the calls cost, by the documentation.
#[derive(Default)]
struct Ledger {
    price: Option<i128>,
    currency: Option<&'static str>,
    waiting: Vec<Waiting>,
    /// The cost of each call by each rule, and where it is counted.
    costs: BTreeMap<&'static str, (Place, i128)>,
    cap: usize,
    known: Vec<Place>,
}

impl Ledger {
    /// Charges what waits, if the deck and the currency are known.
    fn round(&mut self) {
        while let Some(call) = self.waiting.first().cloned() {
            // Without a deck of its own place, a call has the first later one.
            let (Some(price), Some(currency)) = (call.price, call.currency) else {
                return;
            };
            self.waiting.remove(0);
            self.costs.remove(call.id);
            if call.is_selected {
                let place = self.place((call.client.to_owned(), currency.to_owned()));
                let cost = price * i128::from(call.minutes);
                self.costs.insert(call.id, (place, cost));
            }
        }
    }

    fn place(&mut self, own: Place) -> Place {
        let place = if self.known.len() < self.cap || self.known.contains(&own) {
            own
        } else {
            ("other".to_owned(), own.1)
        };
        if !self.known.contains(&place) {
            self.known.push(place.clone());
        }
        place
    }

    /// Takes in a deck or a currency: calls that have none get it.
    fn changed(&mut self) {
        for call in &mut self.waiting {
            call.price = call.price.or(self.price);
            call.currency = call.currency.or(self.currency);
        }
    }

    fn sums(&self) -> BTreeMap<Place, i128> {
        let mut sums = BTreeMap::new();
        for (place, cost) in self.costs.values() {
            *sums.entry(place.clone()).or_default() += cost;
        }
        sums.retain(|_, sum| *sum != 0);
        sums
    }
}

/// Hundredths by client and currency: counters plus corrections.
fn shown(snapshot: &Snapshot) -> BTreeMap<Place, i128> {
    let mut sums = BTreeMap::new();
    for family in [FamilyId::Charges, FamilyId::ChargeCorrections] {
        for block in snapshot.blocks(family) {
            for row in 0..block.len() {
                let labels: BTreeMap<_, _> = pairs(block.labels.row(row)).collect();
                let Values::Amounts(values, _) = block.values else {
                    unreachable!("charges are amounts");
                };
                let place = (
                    labels["client_id"].to_string(),
                    labels["currency"].to_string(),
                );
                *sums.entry(place).or_default() += values[row] / 10_000_000;
            }
        }
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

fn with_cap(cap: usize) -> Limits {
    Limits {
        label_sets: cap,
        ..Limits::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn charges_are_those_of_an_independent_ledger(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let mut rig = Rig::of_account(None);
        let mut ledger = Ledger { cap: 2, ..Ledger::default() };
        rig.app.meter.update(|ledger| {
            ledger.configure("acme", Api::HostedSuite);
            ledger.set_limits(with_cap(2))
        });
        let mut versions = BTreeMap::new();
        let steps = steps.into_iter();
        // At the end everything can be charged.
        let end = [Step::Rates(Some(2)), Step::Currency("USD"), Step::Round];
        for step in steps.chain(end) {
            match step {
                Step::Call(id, client, direction, minutes) => {
                    rig.call_of(client, Some(id), direction, minutes);
                    let version = (client, direction, minutes);
                    if versions.insert(id, version) == Some(version) {
                        continue;
                    }
                    ledger.waiting.push(Waiting {
                        id,
                        client,
                        is_selected: direction == "Outgoing",
                        minutes,
                        price: ledger.price,
                        currency: ledger.currency,
                    });
                }
                Step::Rates(price) => {
                    let rates: Vec<_> = price.map(rate).into_iter().collect();
                    rig.rates(&rates);
                    ledger.price = price;
                    ledger.changed();
                }
                Step::Currency(currency) => {
                    rig.currency(currency);
                    ledger.currency = Some(currency);
                    ledger.changed();
                }
                Step::Restart => rig.restart(),
                Step::RenameEntry(name) => rig.rename(name),
                Step::RenameRule(name) => {
                    rig.round();
                    ledger.round();
                    name.clone_into(&mut rig.entry.rules[0].name);
                    rig.restart();
                }
                Step::Cap(cap) => {
                    rig.round();
                    ledger.round();
                    ledger.cap = cap;
                    rig.app.meter.update(|ledger| ledger.set_limits(with_cap(cap)));
                }
                Step::Round => {
                    rig.round();
                    ledger.round();
                }
            }
            if ledger.waiting.is_empty() {
                prop_assert_eq!(shown(&rig.app.meter.snapshot()), ledger.sums());
            }
        }
        prop_assert!(ledger.waiting.is_empty());
    }
}
