//! Streams that are journaled on change only.

use callmeter_journal::{Changes, DeckExtent};
use callmeter_records::{Balance, BalancesView, Billing, Change, Rate, RatesView, Reading};

use crate::support::{NOON, Place, on_both_engines};

fn balance(client: &str, minutes: i64) -> Balance<'_> {
    Balance {
        period_start: Reading::Known(NOON),
        period_end: Reading::Known(NOON + 7),
        client_id: Some(client),
        num_mins: Reading::Known(i128::from(minutes) * 1_000_000_000),
        ..Balance::default()
    }
}

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

/// Two allowances of one client, and clients without an id, are told apart.
fn a_balance_is_that_of_one_client_and_one_allowance() {
    let place = Place::new();
    let journal = place.open();
    let in_calls = Balance {
        allowance_description: Some("calls"),
        ..balance("c1", 5)
    };
    let in_minutes = Balance {
        allowance_description: Some("minutes"),
        ..balance("c1", 5)
    };
    let unknown = |name| Balance {
        client_id: None,
        client_name: Some(name),
        ..balance("", 5)
    };
    let all = [
        in_calls,
        in_minutes,
        unknown("Acme"),
        unknown("Bolt"),
        in_calls,
    ];
    let changes = journal.record_balances("acme", NOON, &all).unwrap();
    assert_eq!((changes.new, changes.repeated), (4, 1));
    assert_eq!(changes.batch.unwrap().records.num_rows(), 4);
    let changes = journal.record_balances("acme", NOON, &all).unwrap();
    assert_eq!(changes.unchanged, 4);
    // Another name of a client that has an id is an edit.
    let renamed = Balance {
        client_name: Some("C1 Ltd"),
        ..in_calls
    };
    let changes = journal.record_balances("acme", NOON, &[renamed]).unwrap();
    assert_eq!((changes.new, changes.revised), (0, 1));
}

fn rate<'a>(id: Option<&'a str>, prefix: &'a str, price: i128) -> Rate<'a> {
    Rate {
        id,
        prefix: Some(prefix),
        price_1: Reading::Known(price),
        ..Rate::default()
    }
}

fn a_rate_that_is_gone_is_removed_as_it_was() {
    let place = Place::new();
    let journal = place.open();
    let record = |deck: &[Rate<'_>]| {
        journal
            .record_rates("hq", NOON, deck, DeckExtent::Whole)
            .unwrap()
    };
    let (one, two) = (rate(Some("1"), "41", 5), rate(Some("2"), "42", 6));
    assert_eq!(record(&[one, two]).new, 2);
    let two = rate(Some("2"), "42", 7);
    let changes = record(&[two]);
    assert_eq!((changes.revised, changes.removed), (1, 1));
    let batch = changes.batch.unwrap();
    let view = RatesView::new(&batch.records).unwrap();
    let gone = view.row(1).unwrap();
    assert_eq!(
        (gone.id(), gone.price_1(), gone.revision()),
        (Some("1"), Some(5), 1)
    );
    assert_eq!(gone.change(), Some(Change::Removed));
    assert!(record(&[two]).batch.is_none());
    // It may come back, and is new then.
    assert_eq!(record(&[two, one]).new, 1);
}

/// The export has no ids, the list has them. Ids may change, too.
fn a_rate_is_the_rate_of_its_prefix() {
    let place = Place::new();
    let journal = place.open();
    let deck = |ids: [Option<&'static str>; 2]| {
        [
            rate(ids[0], "49", 5),
            rate(ids[1], "41", 6),
            rate(None, "49", 9),
        ]
    };
    let record = |deck: &[Rate<'_>]| {
        let changes = journal
            .record_rates("hq", NOON, deck, DeckExtent::Whole)
            .unwrap();
        let Changes {
            new,
            revised,
            removed,
            repeated,
            ..
        } = changes;
        [new, revised, removed, repeated]
    };
    assert_eq!(record(&deck([None, None])), [2, 0, 0, 1]);
    // Even where an id looks like another rate's prefix.
    for ids in [[Some("41"), Some("49")], [Some("a"), None], [None, None]] {
        assert_eq!(journal.missing_rates("hq", &deck(ids)).unwrap(), 0);
        assert_eq!(record(&deck(ids)), [0, 0, 0, 1], "{ids:?}");
    }
}

/// A deck of which a part could not be read says nothing of the rates that are not in it.
fn removals_wait_for_a_whole_deck() {
    let place = Place::new();
    let journal = place.open();
    let record = |deck: &[Rate<'_>], extent| {
        let changes = journal.record_rates("hq", NOON, deck, extent).unwrap();
        [changes.new, changes.revised, changes.removed]
    };
    let all = [rate(None, "1", 1), rate(None, "2", 2), rate(None, "3", 3)];
    assert_eq!(record(&all, DeckExtent::Whole), [3, 0, 0]);
    let part = [rate(None, "2", 7), rate(None, "4", 4)];
    assert_eq!(journal.missing_rates("hq", &part).unwrap(), 2);
    assert_eq!(record(&part, DeckExtent::Part), [1, 1, 0]);
    assert_eq!(record(&part, DeckExtent::Part), [0, 0, 0]);
    assert_eq!(record(&part, DeckExtent::Whole), [0, 0, 2]);
    assert_eq!(journal.missing_rates("hq", &part).unwrap(), 0);
}

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

on_both_engines! {
    balances_are_journaled_when_they_change
    a_balance_is_that_of_one_client_and_one_allowance
    a_rate_that_is_gone_is_removed_as_it_was
    a_rate_is_the_rate_of_its_prefix
    removals_wait_for_a_whole_deck
    billing_is_journaled_when_it_changes
}
