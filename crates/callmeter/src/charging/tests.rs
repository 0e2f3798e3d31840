//! An entry charges the calls of a journal: which deck, which waits, and what is shown.

use callmeter_records::{Rate, Reading};

use super::test_rig::{HEADER, Rig, rate};
use crate::config::{Deck, OutputFrom};

/// A deck without a usable rate has not been read: calls wait for the first one that has one.
#[test]
fn calls_wait_while_the_deck_has_no_usable_rate() {
    let unusable = Rate {
        price_1: Reading::Missing,
        ..rate(50)
    };
    for (deck, reason) in [
        (None, "has no rates"),
        (Some(unusable), "price_1 is missing"),
    ] {
        let mut rig = Rig::of_account(Some("USD"));
        rig.call("early", "Outgoing", 1);
        let (status, charges) = rig.round();
        assert!(status.reason.unwrap().contains("was not read yet"));
        assert_eq!((status.waiting, charges.len()), (1, 0));
        rig.rates(&[rate(50)]);
        rig.call("a", "Outgoing", 1);
        let (status, charges) = rig.round();
        assert_eq!((status.waiting, status.reason), (0, None));
        assert_eq!(charges, ["early 50 USD", "a 50 USD"]);
        rig.rates(deck.as_slice());
        for round in 0..2 {
            rig.call(&format!("b{round}"), "Outgoing", 1);
            let (status, charges) = rig.round();
            assert!(status.reason.unwrap().contains(reason));
            assert_eq!((status.waiting, charges.len()), (round + 1, 2));
            rig.restart();
        }
        rig.rates(&[rate(70)]);
        rig.call("c", "Outgoing", 1);
        let (status, charges) = rig.round();
        assert_eq!((status.waiting, status.reason), (0, None));
        assert_eq!(charges[2..], ["b0 70 USD", "b1 70 USD", "c 70 USD"]);
    }
}

/// Each call gets the deck as of its own place, whenever the currency comes.
#[test]
fn calls_that_waited_for_the_currency_get_the_deck_of_their_own_place() {
    for restarts in [false, true] {
        let mut rig = Rig::of_account(None);
        rig.call("first", "Outgoing", 1);
        rig.rates(&[rate(50)]);
        rig.call("a", "Outgoing", 1);
        rig.rates(&[rate(60)]);
        rig.call("b", "Outgoing", 1);
        rig.rates(&[rate(70)]);
        let (status, _) = rig.round();
        assert_eq!(status.waiting, 3);
        assert!(status.reason.unwrap().contains("has no currency yet"));
        if restarts {
            rig.restart();
        }
        rig.currency("USD");
        rig.call("c", "Outgoing", 1);
        rig.currency("EUR");
        rig.call("d", "Outgoing", 1);
        let (status, charges) = rig.round();
        assert_eq!(status.waiting, 0);
        let expected = [
            "first 50 USD",
            "a 50 USD",
            "b 60 USD",
            "c 70 USD",
            "d 70 EUR",
        ];
        assert_eq!(charges, expected);
    }
}

/// The gauge counts calls that a rule selects, each once.
#[test]
fn calls_that_wait_are_counted_once_and_only_if_a_rule_selects_them() {
    let mut rig = Rig::of_account(Some("USD"));
    for id in 0..5 {
        rig.call(&format!("in{id}"), "Incoming", 1);
    }
    assert_eq!(rig.round().0.waiting, 0);
    rig.call("out", "Outgoing", 1);
    rig.call("out", "Outgoing", 2);
    assert_eq!(rig.round().0.waiting, 1);
    rig.call("out", "Outgoing", 3);
    rig.call("more", "Outgoing", 1);
    assert_eq!(rig.round().0.waiting, 2);
    rig.rates(&[rate(50)]);
    let (status, charges) = rig.round();
    assert_eq!((status.waiting, charges.len()), (0, 4));
}

/// A file that cannot be read stops nothing: what was read last is in the journal.
#[test]
fn a_deck_file_that_cannot_be_read_is_shown_and_the_last_rates_stay() {
    let mut rig = Rig::new(Deck::File, Some("EUR"));
    rig.call("a", "Outgoing", 1);
    let (status, charges) = rig.round();
    assert!(status.error.unwrap().contains("cannot read the deck"));
    assert!(status.reason.unwrap().contains("was not read yet"));
    assert_eq!((status.waiting, charges.len()), (1, 0));
    let labels = ["spend", "rates"];
    let failures = |rig: &Rig, reason| {
        let labels = ["spend", "rates", reason];
        rig.app
            .metrics
            .poll_failures
            .with_label_values(&labels)
            .get()
    };
    let up = |rig: &Rig| rig.app.metrics.task_up.with_label_values(&labels).get();
    assert_eq!((failures(&rig, "local"), up(&rig)), (1, 0));
    let failing = ["spend", "rates", "local"];
    let failing = rig.app.metrics.task_failing.with_label_values(&failing);
    assert_eq!(failing.get(), 1);

    rig.file(&format!("{HEADER}41,A,0,60,0.5,0,60,0.5,0,0\n"));
    let (status, charges) = rig.round();
    assert_eq!((status.error, status.reason, up(&rig)), (None, None, 1));
    assert_eq!(charges, ["a 50 EUR"]);
    // At a restart, too.
    rig.file("<html>sign in</html>");
    rig.call("b", "Outgoing", 2);
    let (status, charges) = rig.round();
    assert!(status.error.unwrap().contains("is a web page"));
    assert_eq!((status.reason, status.waiting), (None, 0));
    assert_eq!(charges[1..], ["b 100 EUR"]);
    assert_eq!((failures(&rig, "unreadable"), up(&rig)), (1, 0));
    std::fs::remove_file(rig.dir.path().join("deck.csv")).unwrap();
    rig.restart();
    let (status, _) = rig.round();
    assert!(status.error.is_some() && status.reason.is_none());
    // A header alone is a deck without rates.
    rig.file(HEADER);
    rig.round();
    rig.call("c", "Outgoing", 1);
    let (status, charges) = rig.round();
    assert_eq!((status.error, status.waiting, charges.len()), (None, 1, 2));
}

/// A row that cannot be read keeps the rate that its prefix had, and is counted.
#[test]
fn unreadable_rows_of_a_deck_file_are_counted() {
    let mut rig = Rig::new(Deck::File, Some("EUR"));
    let good = format!("{HEADER}41,A,0,60,0.5,0,60,0.5,0,0\n4,A,0,60,2,0,60,2,0,0\n");
    rig.file(&good);
    rig.round();
    rig.file(&good.replace("60,0.5,0,60", "60,abc,0,60"));
    rig.call("a", "Outgoing", 1);
    let (_, charges) = rig.round();
    assert_eq!(charges, ["a 50 EUR"]);
    let labels = ["spend", "rates"];
    let unreadable = &rig.app.metrics.records_unreadable;
    assert_eq!(unreadable.with_label_values(&labels).get(), 1);
}

/// Another entry goes on after the last charge, whatever its `from` says.
#[test]
fn calls_that_came_while_no_entry_charged_are_charged_by_the_next_one() {
    for from in [OutputFrom::Now, OutputFrom::Oldest] {
        let mut rig = Rig::of_account(Some("USD"));
        rig.rates(&[rate(50)]);
        rig.call("a", "Outgoing", 1);
        rig.call("b", "Outgoing", 1);
        assert_eq!(rig.round().1.len(), 2);
        rig.call("n", "Outgoing", 1);
        rig.call("a", "Outgoing", 2);
        rig.entry.from = from;
        rig.rename("next");
        let charges = rig.round().1;
        assert_eq!(charges[2..], ["n 50 USD", "a 100 USD"], "{from:?}");
        rig.restart();
        assert_eq!(rig.round().1.len(), 4);
    }
}

/// An entry that gets another account charges all of its calls.
#[test]
fn the_position_is_that_of_the_account() {
    let mut rig = Rig::of_account(Some("USD"));
    rig.rates(&[rate(50)]);
    rig.entry.account = "other".to_owned();
    rig.call("a", "Outgoing", 1);
    rig.rename("spend");
    assert_eq!(rig.round().1, [""; 0]);
    rig.entry.account = "acme".to_owned();
    rig.rename("spend");
    assert_eq!(rig.round().1, ["a 50 USD"]);
}

/// What an edit takes back is needed until the edit is charged.
#[test]
fn retention_keeps_the_charge_that_a_waiting_edit_takes_back() {
    let mut rig = Rig::of_account(Some("USD"));
    rig.rates(&[rate(50)]);
    rig.call("a", "Outgoing", 1);
    rig.round();
    rig.rates(&[]);
    rig.call("b", "Outgoing", 1);
    rig.call("a", "Outgoing", 2);
    rig.round();
    let deleted = rig.retain_nothing();
    rig.rates(&[rate(50)]);
    let (_, charges) = rig.round();
    assert_eq!(charges, ["a 50 USD", "b 50 USD", "a 100 USD"]);
    assert_eq!(deleted, 1, "the first rates are not needed");
    // When all is charged, nothing is needed.
    assert!(rig.retain_nothing() > 3);
}
