//! Charges in the totals: exact sums, corrections, the cap on label sets.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::RecordBatch;
use callmeter_meter::{Api, FamilyId, Ledger, Limits, Snapshot, Values, pairs};
use callmeter_records::{BatchHead, Change, Charge, ChargesBuilder, Reading, RowMark, Stream};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

fn ledger(cap: usize) -> Ledger {
    let mut ledger = Ledger::new(Limits {
        label_sets: cap,
        ..Limits::default()
    });
    ledger.configure("acme", Api::HostedSuite);
    ledger
}

/// The sums of a family by some of its labels, without those that are 0.
fn sums(snapshot: &Snapshot, family: FamilyId, by: &[&str]) -> BTreeMap<Vec<String>, i128> {
    let mut sums = BTreeMap::new();
    for block in snapshot.blocks(family) {
        for row in 0..block.len() {
            let labels: BTreeMap<_, _> = pairs(block.labels.row(row)).collect();
            let key = by.iter().map(|name| labels[name].to_string()).collect();
            let value = match block.values {
                Values::Amounts(values, _) => values[row],
                _ => unreachable!("charges are amounts"),
            };
            *sums.entry(key).or_insert(0) += value;
        }
    }
    sums.retain(|_, value| *value != 0);
    sums
}

/// A charge of a client: amount in units of 10⁻⁵, and billed seconds.
fn charge(
    client: &'static str,
    rate_type: &'static str,
    charged: Option<(i128, i32)>,
) -> Charge<'static> {
    Charge {
        client_id: Some(client),
        rate_type: Some(rate_type),
        currency: Some("CHF"),
        amount: charged.map_or(Reading::Missing, |(amount, _)| {
            Reading::Known(amount * 10_000)
        }),
        billed_seconds: charged.map_or(Reading::Missing, |(_, seconds)| Reading::Known(seconds)),
        reason: charged.is_none().then_some("no_match"),
        ..Charge::default()
    }
}

/// The charge `after`, which was `before`, the charge with this `sequence`.
fn edited(sequence: i64, before: &Charge<'static>, after: &Charge<'static>) -> Charge<'static> {
    Charge {
        previous_sequence: Reading::Known(sequence),
        previous_client_id: before.client_id,
        previous_rate_type: before.rate_type,
        previous_currency: before.currency,
        previous_amount: before.amount,
        previous_billed_seconds: before.billed_seconds,
        ..*after
    }
}

fn charges(first_sequence: i64, rows: &[(Change, Charge<'_>)]) -> RecordBatch {
    let mut builder = ChargesBuilder::new();
    for (change, charge) in rows {
        let revision = i32::from(*change != Change::New);
        builder.append(
            RowMark {
                revision,
                change: *change,
            },
            charge,
        );
    }
    let head = BatchHead {
        account: "acme",
        first_sequence,
        observed_at: 1_000_000,
    };
    builder.finish(&head).unwrap()
}

#[test]
fn charges_are_summed_exactly_and_edits_are_corrections() {
    let free = charge("1", "LOCAL", None);
    let cheap = charge("1", "LOCAL", Some((1, 60)));
    let dear = charge("1", "MOBILE", Some((9_000_000_000_000_000, 120)));
    let other = charge("2", "LOCAL", Some((3, 6)));
    let mut ledger = ledger(10);
    for (number, rows) in [
        vec![
            (Change::New, cheap),
            (Change::New, cheap),
            (Change::New, dear),
            (Change::New, free),
        ],
        // Nothing that counts has changed; another client; free; charged at last; removed.
        vec![
            (Change::Revised, edited(1, &cheap, &cheap)),
            (Change::Revised, edited(5, &cheap, &other)),
            (Change::Revised, edited(3, &dear, &free)),
            (Change::Revised, edited(4, &free, &dear)),
            (Change::Removed, edited(2, &cheap, &free)),
            (Change::Revised, edited(9, &free, &free)),
        ],
    ]
    .into_iter()
    .enumerate()
    {
        let first = [1, 5][number];
        ledger
            .apply(number as u64 + 1, Stream::Charges, &charges(first, &rows))
            .unwrap();
    }
    let snapshot = ledger.snapshot();
    let labels = ["client_id", "rate_type"];
    let of = |family| {
        let sums = sums(&snapshot, family, &labels).into_iter();
        sums.map(|(key, units)| format!("{} {units}", key.join(" ")))
            .collect::<Vec<_>>()
    };
    let nano = 10_000;
    let large = 9_000_000_000_000_000_i128;
    assert_eq!(
        of(FamilyId::Charges),
        [
            format!("1 local {}", 2 * nano),
            format!("1 mobile {}", 2 * large * nano)
        ]
    );
    assert_eq!(
        of(FamilyId::ChargeCorrections),
        [
            format!("1 local {}", -2 * nano),
            format!("1 mobile {}", -large * nano),
            format!("2 local {}", 3 * nano)
        ]
    );
    assert_eq!(
        of(FamilyId::ChargedSeconds),
        ["1 local 120", "1 mobile 240"]
    );
    assert_eq!(
        of(FamilyId::ChargeCorrectionsSeconds),
        ["1 local -120", "1 mobile -120", "2 local 6"]
    );
    let labels = r#"account="acme",reason="no_match""#;
    assert_eq!(snapshot.find(FamilyId::CallsNotCharged, labels), Some(1));
    // The same after a restart.
    let mut read = Ledger::decode(&ledger.encode(), Limits::default()).unwrap();
    assert_eq!(read.encode(), ledger.encode());
    read.configure("acme", Api::HostedSuite);
    let again = read.snapshot();
    let labels = r#"account="acme",client_id="1",rate_type="mobile",currency="CHF""#;
    assert_eq!(
        again.find(FamilyId::Charges, labels),
        Some(2 * large * nano)
    );
}

#[test]
fn charges_beyond_the_cap_are_counted_together_but_currencies_stay_apart() {
    let mut ledger = ledger(1);
    let francs = charge("1", "LOCAL", Some((1, 1)));
    let euros = Charge {
        currency: Some("EUR"),
        ..charge("3", "LOCAL", Some((4, 1)))
    };
    let rows = [francs, charge("2", "LOCAL", Some((2, 1))), euros, euros];
    let rows = rows.map(|row| (Change::New, row));
    ledger
        .apply(1, Stream::Charges, &charges(1, &rows))
        .unwrap();
    let snapshot = ledger.snapshot();
    let labels = ["client_id", "rate_type", "currency"];
    let sums = sums(&snapshot, FamilyId::Charges, &labels);
    let sums: Vec<_> = sums
        .into_iter()
        .map(|(key, units)| format!("{} {}", key.join(" "), units / 10_000))
        .collect();
    assert_eq!(
        sums,
        ["1 local CHF 1", "other other CHF 2", "other other EUR 8"]
    );
    let folded = snapshot.find(
        FamilyId::SeriesFolded,
        r#"family="callmeter_charges_total""#,
    );
    assert_eq!(folded, Some(3));
}

/// The charge of a call at the moment, and the labels that it is counted under.
#[derive(Clone)]
struct Counted {
    charge: Charge<'static>,
    sequence: i64,
    place: Option<Vec<String>>,
}

/// Where charges are counted, by the rules of the documentation.
struct Places {
    cap: usize,
    known: BTreeSet<Vec<String>>,
}

impl Places {
    fn of(&mut self, charge: &Charge<'_>) -> Option<Vec<String>> {
        charge.amount.known()?;
        let rate_type = charge.rate_type.unwrap_or("unknown").to_lowercase();
        let own = [charge.client_id.unwrap(), &rate_type, "CHF"];
        let place =
            if self.known.len() < self.cap || self.known.contains(&own.map(str::to_owned)[..]) {
                own
            } else {
                ["other", "other", "CHF"]
            };
        let place = place.map(str::to_owned).to_vec();
        self.known.insert(place.clone());
        Some(place)
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// A version of a call is charged.
    Charge(u8, &'static str, &'static str, Option<(i128, i32)>),
    Cap(usize),
    Restart,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let charge = (
        0_u8..6,
        select(vec!["1", "2", "3"]),
        select(vec!["LOCAL", "MOBILE"]),
        of((0_i128..3, 0_i32..3)),
    )
        .prop_map(|(call, client, rate_type, charged)| {
            Step::Charge(call, client, rate_type, charged)
        });
    prop_oneof![
        8 => charge,
        1 => (0_usize..6).prop_map(Step::Cap),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
    ]
}

fn with_cap(cap: usize) -> Limits {
    Limits {
        label_sets: cap,
        ..Limits::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Counters plus corrections are what the calls cost now, under the labels that each charge was
    /// counted under, whatever the cap on label sets was then and is now.
    #[test]
    fn an_edit_takes_a_charge_back_from_the_labels_that_it_was_counted_under(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut places = Places { cap: 2, known: BTreeSet::new() };
        let mut ledger = ledger(places.cap);
        let mut stored = ledger.encode();
        let mut unstored = Vec::new();
        let mut calls: BTreeMap<u8, Counted> = BTreeMap::new();
        let mut sequence = 0;
        for step in steps {
            match step {
                Step::Charge(call, client, rate_type, charged) => {
                    sequence += 1;
                    let now = charge(client, rate_type, charged);
                    let row = match calls.get(&call) {
                        None => (Change::New, now),
                        Some(before) => {
                            (Change::Revised, edited(before.sequence, &before.charge, &now))
                        }
                    };
                    let batch = charges(sequence, &[row]);
                    let number = sequence.cast_unsigned();
                    ledger.apply(number, Stream::Charges, &batch).unwrap();
                    unstored.push((number, batch));
                    let place = places.of(&now);
                    calls.insert(call, Counted { charge: now, sequence, place });
                }
                Step::Cap(cap) => {
                    places.cap = cap;
                    ledger.set_limits(with_cap(cap));
                    stored = ledger.encode();
                    unstored.clear();
                }
                Step::Restart => {
                    stored = ledger.encode();
                    unstored.clear();
                    ledger = Ledger::decode(&stored, with_cap(places.cap)).unwrap();
                    prop_assert_eq!(ledger.encode(), stored.clone());
                }
                Step::Kill => {
                    ledger = Ledger::decode(&stored, with_cap(places.cap)).unwrap();
                    for (number, batch) in &unstored {
                        ledger.apply(*number, Stream::Charges, batch).unwrap();
                    }
                }
            }
            ledger.configure("acme", Api::HostedSuite);
            let snapshot = ledger.snapshot();
            let families = [
                (FamilyId::Charges, FamilyId::ChargeCorrections),
                (FamilyId::ChargedSeconds, FamilyId::ChargeCorrectionsSeconds),
            ];
            for (counter, corrections) in families {
                let by = ["client_id", "rate_type", "currency"];
                let mut counted = sums(&snapshot, counter, &by);
                for (key, units) in sums(&snapshot, corrections, &by) {
                    *counted.entry(key).or_insert(0) += units;
                }
                counted.retain(|_, units| *units != 0);
                let mut truth = BTreeMap::new();
                for call in calls.values() {
                    let units = match counter {
                        FamilyId::Charges => call.charge.amount.known(),
                        _ => call.charge.billed_seconds.known().map(i128::from),
                    };
                    if let (Some(place), Some(units)) = (&call.place, units) {
                        *truth.entry(place.clone()).or_insert(0) += units;
                    }
                }
                truth.retain(|_, units| *units != 0);
                prop_assert_eq!(counted, truth);
            }
        }
    }
}
