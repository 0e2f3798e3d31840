//! Streams that are journaled on change only.

use callmeter_records::{Balance, BalancesView, Billing, Change, Rate, RatesView, Reading};

use crate::support::{NOON, Place};

fn balance(client: &str, minutes: i64) -> Balance<'_> {
    Balance {
        period_start: Reading::Known(NOON),
        period_end: Reading::Known(NOON + 7),
        client_id: Some(client),
        num_mins: Reading::Known(i128::from(minutes) * 1_000_000_000),
        ..Balance::default()
    }
}

#[test]
fn balances_are_journaled_when_they_change() {
    let place = Place::new();
    let journal = place.open();
    let changes = journal
        .record_balances(
            "acme",
            NOON,
            &[balance("c1", 5), balance("c2", 6), balance("c1", 9)],
        )
        .unwrap();
    assert_eq!((changes.new, changes.repeated), (2, 1));
    drop(journal);
    let journal = place.open();
    let later_end = Balance {
        period_end: Reading::Known(NOON + 8),
        ..balance("c1", 5)
    };
    let changes = journal
        .record_balances("acme", NOON, &[later_end, balance("c2", 7)])
        .unwrap();
    assert_eq!((changes.unchanged, changes.revised), (1, 1));
    let batch = changes.batch.unwrap();
    let view = BalancesView::new(&batch.records).unwrap();
    let row = view.row(0).unwrap();
    assert_eq!(
        (row.client_id(), row.revision(), row.change()),
        (Some("c2"), 1, Some(Change::Revised))
    );
    assert_eq!(row.sequence(), 3);
    // A new period is a new balance.
    let next = Balance {
        period_start: Reading::Known(NOON + 7),
        ..balance("c2", 7)
    };
    assert_eq!(
        journal.record_balances("acme", NOON, &[next]).unwrap().new,
        1
    );
    assert!(
        journal
            .record_balances("acme", NOON, &[next])
            .unwrap()
            .batch
            .is_none()
    );
}

#[test]
fn a_rate_that_is_gone_is_removed_as_it_was() {
    let place = Place::new();
    let journal = place.open();
    let rate = |id, price| Rate {
        id: Some(id),
        prefix: Some("41"),
        price_1: Reading::Known(price),
        ..Rate::default()
    };
    assert_eq!(
        journal
            .record_rates("hq", NOON, &[rate("1", 5), rate("2", 6)])
            .unwrap()
            .new,
        2
    );
    let changes = journal.record_rates("hq", NOON, &[rate("2", 7)]).unwrap();
    assert_eq!((changes.revised, changes.removed), (1, 1));
    let batch = changes.batch.unwrap();
    let view = RatesView::new(&batch.records).unwrap();
    let gone = view.row(1).unwrap();
    assert_eq!(
        (gone.id(), gone.price_1(), gone.revision()),
        (Some("1"), Some(5), 1)
    );
    assert_eq!(gone.change(), Some(Change::Removed));
    assert!(
        journal
            .record_rates("hq", NOON, &[rate("2", 7)])
            .unwrap()
            .batch
            .is_none()
    );
    // It may come back, and is new then.
    assert_eq!(
        journal
            .record_rates("hq", NOON, &[rate("2", 7), rate("1", 5)])
            .unwrap()
            .new,
        1
    );
}

#[test]
fn billing_is_journaled_when_it_changes() {
    let place = Place::new();
    let journal = place.open();
    let billing = Billing {
        enabled: Reading::Known(true),
        balance: Reading::Known(12),
        ..Billing::default()
    };
    assert_eq!(journal.record_billing("hq", NOON, &billing).unwrap().new, 1);
    assert_eq!(
        journal
            .record_billing("hq", NOON, &billing)
            .unwrap()
            .unchanged,
        1
    );
    let lower = Billing {
        balance: Reading::Known(11),
        ..billing
    };
    assert_eq!(
        journal.record_billing("hq", NOON, &lower).unwrap().revised,
        1
    );
    assert_eq!(
        journal.record_billing("other", NOON, &lower).unwrap().new,
        1
    );
}
