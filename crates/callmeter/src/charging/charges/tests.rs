//! Charges of a call that is edited again and again.

use callmeter_rating::{Amount, Options, Row};
use callmeter_records::{BatchHead, Call, CallField, CallsBuilder, Direction};

use super::*;
use crate::config::{Deck as DeckSource, Numbers, OutputFrom};

const HEAD: BatchHead<'static> = BatchHead {
    account: "acme",
    first_sequence: 1,
    observed_at: 1,
};

fn entry(rule: &str) -> Charging {
    Charging {
        name: "spend".to_owned(),
        account: "acme".to_owned(),
        deck: DeckSource::Account("pbx".to_owned()),
        currency: None,
        from: OutputFrom::Oldest,
        rules: vec![Rule {
            name: rule.to_owned(),
            directions: vec![Direction::Outgoing],
            centers: Vec::new(),
            number: NumberColumn::Caller,
            times: vec![CallField::Talk],
        }],
        numbers: Numbers {
            country_code: None,
            trunk_prefix: None,
            international_prefixes: Vec::new(),
            internal_digits: 3,
            internal_prefixes: Vec::new(),
        },
        rating: Options::default(),
    }
}

/// One unit a minute, by the minute.
fn priced() -> Priced {
    let one = || Ok(Amount::from_units(100_000));
    let none = || Ok(Amount::from_units(0));
    let row = Row {
        id: Some("r"),
        prefix: Some("49"),
        rate_type: Some("MOBILE"),
        connect_fee: none(),
        price_1: one(),
        price_n: one(),
        postcall_surcharge: none(),
        interval_1: Ok(60),
        interval_n: Ok(60),
        free_seconds: Ok(0),
        grace_period: Ok(0),
    };
    Priced {
        deck: Deck::build([row], &Options::default()).unwrap().deck,
        currency: Some("EUR".to_owned()),
        fingerprint: "f".to_owned(),
    }
}

/// The charges of a version of the call, which revises the one of batch `before`.
struct Versions {
    earlier: Vec<(BatchSeq, arrow_array::RecordBatch)>,
}

impl Versions {
    fn edit(&mut self, entry: &Charging, direction: &str, minutes: i64) -> Vec<String> {
        let mut calls = CallsBuilder::new();
        calls.append(&Call {
            id: Some("c"),
            call_type: Some(direction),
            caller_number: Some("4917000000"),
            answered_by: Some("Eve"),
            talk_ms: Reading::Known(minutes * 60_000),
            ..Call::default()
        });
        let calls = calls.finish(&HEAD).unwrap();
        let revised = self.earlier.last().map(|(batch, _)| RevisedRow {
            row: 0,
            batch: *batch,
        });
        // Another row of the batch revises a call of the first batch.
        let other = self.earlier.first().map(|(batch, _)| RevisedRow {
            row: 1,
            batch: *batch,
        });
        let revised: Vec<_> = revised.into_iter().chain(other).collect();
        let mut earlier = EarlierCharges::new(&revised);
        for (batch, charges) in &self.earlier {
            if earlier.batches().contains(batch) {
                earlier.add(*batch, &ChargesView::new(charges).unwrap());
            }
        }
        let view = CallsView::new(&calls).unwrap();
        let mut made = charge_batch(&view, entry, &priced(), &earlier);
        let batch = made.charges.finish(&HEAD).unwrap();
        let said = ChargesView::new(&batch).unwrap();
        let said = said.rows().map(|row| {
            let units = |nano: Option<i128>| nano.map(|nano| nano / 1_000_000_000);
            format!(
                "{} {:?} {}: {:?} after {:?}",
                row.rule().unwrap(),
                row.change().unwrap(),
                row.revision(),
                units(row.amount()),
                units(row.previous_amount()),
            )
        });
        let said = said.collect();
        self.earlier
            .push((BatchSeq(self.earlier.len() as u64 + 1), batch));
        said
    }
}

#[test]
fn each_version_of_a_call_is_compared_with_the_one_before() {
    let mut versions = Versions {
        earlier: Vec::new(),
    };
    let spend = entry("outgoing");
    let mut edit =
        |entry: &Charging, direction, minutes| versions.edit(entry, direction, minutes).join(", ");
    assert_eq!(
        edit(&spend, "Outgoing", 1),
        "outgoing New 0: Some(1) after None"
    );
    // No rule selects it, twice: taken back once.
    assert_eq!(
        edit(&spend, "Weird", 1),
        "outgoing Removed 1: None after Some(1)"
    );
    assert_eq!(
        edit(&spend, "Weird", 2),
        "outgoing Removed 2: None after None"
    );
    assert_eq!(
        edit(&spend, "Outgoing", 3),
        "outgoing Revised 3: Some(3) after None"
    );
    // The rule has another name now.
    let renamed = entry("out");
    assert_eq!(
        edit(&renamed, "Outgoing", 4),
        "out New 0: Some(4) after None, outgoing Removed 4: None after Some(3)"
    );
    assert_eq!(
        edit(&spend, "Outgoing", 5),
        "outgoing Revised 5: Some(5) after None, out Removed 1: None after Some(4)"
    );
}
