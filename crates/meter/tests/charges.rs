//! Charges in the totals: exact sums, corrections, the cap on label sets.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use callmeter_meter::{Api, FamilyId, Ledger, Limits, Snapshot, Values, pairs};
use callmeter_records::{BatchHead, Change, Charge, ChargesBuilder, Reading, RowMark, Stream};

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

/// The charge `after`, which was `before`.
fn edited(before: &Charge<'static>, after: &Charge<'static>) -> Charge<'static> {
    Charge {
        previous_client_id: before.client_id,
        previous_rate_type: before.rate_type,
        previous_currency: before.currency,
        previous_amount: before.amount,
        previous_billed_seconds: before.billed_seconds,
        ..*after
    }
}

fn charges(rows: &[(Change, Charge<'_>)]) -> RecordBatch {
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
        first_sequence: 1,
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
            (Change::Revised, edited(&cheap, &cheap)),
            (Change::Revised, edited(&cheap, &other)),
            (Change::Revised, edited(&dear, &free)),
            (Change::Revised, edited(&free, &dear)),
            (Change::Removed, edited(&cheap, &free)),
            (Change::Revised, edited(&free, &free)),
        ],
    ]
    .into_iter()
    .enumerate()
    {
        ledger
            .apply(number as u64 + 1, Stream::Charges, &charges(&rows))
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
    ledger.apply(1, Stream::Charges, &charges(&rows)).unwrap();
    let snapshot = ledger.snapshot();
    let sums = sums(&snapshot, FamilyId::Charges, &["client_id", "currency"]);
    let sums: Vec<_> = sums
        .into_iter()
        .map(|(key, units)| format!("{} {}", key.join(" "), units / 10_000))
        .collect();
    assert_eq!(sums, ["1 CHF 1", "other CHF 2", "other EUR 8"]);
    let folded = snapshot.find(
        FamilyId::SeriesFolded,
        r#"family="callmeter_charges_total""#,
    );
    assert_eq!(folded, Some(3));
}
