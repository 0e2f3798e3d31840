//! Journals of every format open with their contents unchanged, and continue.

use std::path::{Path, PathBuf};
use std::time::Duration;

use callmeter_journal::{
    Classification, DeckExtent, Journal, JournalError, NewCharges, Options, Reader,
    RetentionPolicy, Start,
};
use callmeter_records::{
    Balance, Billing, Call, Charge, ChargesBuilder, Interaction, Rate, Reading, RowMark, Stream,
};

use crate::support::{HOUR, NOON, Place, all_batches, call, poll_page};

fn checked_in(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/v{version}.db"))
}

/// Writes a file of the format that this program writes: `cargo test -p callmeter-journal --
/// --ignored write_a_sample`. Run it once for a new format, and check the file in; the file of a
/// format that was released never changes.
#[test]
#[ignore = "writes into the source tree"]
fn write_a_sample() {
    let place = Place::new();
    let journal = place.open();
    let interactions = [
        Interaction {
            start_time: Reading::Known(NOON - HOUR),
            interaction_type: Some("Answer"),
            description: None,
        },
        Interaction {
            start_time: Reading::Unreadable("soon"),
            interaction_type: Some("Hold"),
            description: Some("…"),
        },
    ];
    let full = Call {
        interactions: Some(&interactions),
        completed_form_ids: Some(&["f1", "f2"]),
        flagged: Reading::Known(true),
        hold_count: Reading::Known(2),
        talk_ms: Reading::Unreadable("NaN"),
        ..call("full")
    };
    poll_page(
        &journal,
        NOON,
        &[
            full,
            call("plain"),
            call("{0F8FAD5B-D9CB-469F-A165-70867728950E}"),
            Call {
                id: None,
                ..call("")
            },
        ],
    );
    poll_page(
        &journal,
        NOON + HOUR,
        &[Call {
            talk_ms: Reading::Known(7),
            ..full
        }],
    );
    let balance = Balance {
        client_id: Some("c1"),
        balance: Reading::Known(-1),
        ..Balance::default()
    };
    journal.record_balances("acme", NOON, &[balance]).unwrap();
    let rate = Rate {
        id: Some("1"),
        prefix: Some("41"),
        price_1: Reading::Known(5),
        ..Rate::default()
    };
    journal
        .record_rates("hq", NOON, &[rate], DeckExtent::Whole)
        .unwrap();
    let billing = Billing {
        enabled: Reading::Known(true),
        currency: Some("CHF"),
        ..Billing::default()
    };
    journal.record_billing("hq", NOON, &billing).unwrap();
    let mut charges = ChargesBuilder::new();
    let charge = Charge {
        call_id: Some("plain"),
        amount: Reading::Known(5),
        ..Charge::default()
    };
    charges.append(RowMark::NEW, &charge);
    journal
        .register_output("charges/spend", Stream::Calls, Start::Oldest)
        .unwrap();
    let new = NewCharges {
        account: "acme",
        cursor: "charges/spend",
        calls: callmeter_journal::BatchSeq(1),
        observed_at: NOON,
        span: None,
        charges,
    };
    journal.append_charges(new).unwrap();
    journal
        .register_output("csv", Stream::Calls, Start::Oldest)
        .unwrap();
    journal
        .acknowledge("csv", Stream::Calls, callmeter_journal::BatchSeq(1))
        .unwrap();
    let state = callmeter_journal::AccountState {
        watermark: Some(NOON),
        page_base: Some(1),
    };
    let day = callmeter_journal::DayCoverage {
        day: 20_671,
        proven_at: Some(NOON),
        stated: Some(4),
        received: 4,
        due_at: NOON + HOUR,
        failure: Some("list_calls: server error (500)".to_owned()),
        position: Some(callmeter_journal::WalkPosition {
            page: 2,
            rows: 2,
            count: None,
        }),
        ..callmeter_journal::DayCoverage::default()
    };
    let coverage = callmeter_journal::CoverageChange {
        changed: vec![day],
        removed: vec![20_670],
    };
    journal.set_account_state("acme", state, coverage).unwrap();
    journal
        .store_snapshot(callmeter_journal::BatchSeq(2), b"totals")
        .unwrap();
    journal
        .retain(
            &RetentionPolicy {
                keep: Some(Duration::from_hours(24)),
                ..RetentionPolicy::default()
            },
            NOON + HOUR,
        )
        .unwrap();
    drop(journal);
    std::fs::copy(place.path(), checked_in(5)).unwrap();
}

#[test]
fn format_1() {
    let (place, journal) = open_checked_in(1);
    insta::assert_snapshot!(contents(&journal));
    check_that_it_continues(&place, &journal);
    drop(journal);
    // It is converted only once.
    check_that_it_continues(&place, &place.open());
}

#[test]
fn format_2() {
    let (place, journal) = open_checked_in(2);
    insta::assert_snapshot!(contents(&journal));
    check_that_it_continues(&place, &journal);
    let other_spelling = call("0f8fad5bd9cb469fa16570867728950e");
    let (classes, _) = poll_page(&journal, NOON, &[other_spelling]);
    assert_eq!(classes, [Classification::Known]);
}

#[test]
fn format_3() {
    let (place, journal) = open_checked_in(3);
    insta::assert_snapshot!(contents(&journal));
    check_that_it_continues(&place, &journal);
}

#[test]
fn format_4() {
    let (place, journal) = open_checked_in(4);
    insta::assert_snapshot!(contents(&journal));
    check_that_it_continues(&place, &journal);
}

#[test]
fn format_5() {
    let (place, journal) = open_checked_in(5);
    insta::assert_snapshot!(contents(&journal));
    check_that_it_continues(&place, &journal);
}

#[test]
fn a_reader_does_not_convert() {
    let place = Place::new();
    std::fs::copy(checked_in(1), place.path()).unwrap();
    let error = Reader::open(place.path()).unwrap_err();
    assert!(matches!(error, JournalError::OlderFormat { found: 1, .. }));
}

fn open_checked_in(version: u32) -> (Place, Journal) {
    let place = Place::new();
    std::fs::copy(checked_in(version), place.path()).unwrap();
    let journal = place.open();
    (place, journal)
}

fn contents(journal: &Journal) -> String {
    let mut text = String::new();
    for batch in all_batches(journal) {
        text += &format!("{:?}\n", batch.meta);
        for (field, column) in batch
            .records
            .schema()
            .fields()
            .iter()
            .zip(batch.records.columns())
        {
            text += &format!("  {}: {column:?}\n", field.name());
        }
    }
    text += &format!("{:?}\n", journal.account_state("acme").unwrap());
    for day in journal.coverage("acme").unwrap() {
        text += &format!("{day:?}\n");
    }
    text += &format!("{:?}\n", journal.cursors().unwrap());
    text += &format!("{:?}\n", journal.latest_snapshot().unwrap());
    text
}

fn check_that_it_continues(place: &Place, journal: &Journal) {
    let mut reader = Reader::open(place.path()).unwrap();
    let verified = reader.verify(|_| ()).unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    // Its keys identify its calls.
    let known = poll_page(
        journal,
        NOON,
        &[
            call("plain"),
            Call {
                id: None,
                ..call("")
            },
        ],
    );
    assert_eq!(known.1.counts.known, 2);
}

/// Older versions identified a rate by its id, and a balance by its client alone.
#[test]
fn records_under_older_keys_are_known_and_move_to_newer_ones() {
    for version in [1, 2] {
        let (place, journal) = open_checked_in(version);
        let rate = |price| Rate {
            prefix: Some("41"),
            price_1: Reading::Known(price),
            ..Rate::default()
        };
        let record = |price| {
            let deck = [rate(price)];
            assert_eq!(journal.missing_rates("hq", &deck).unwrap(), 0);
            let changes = journal.record_rates("hq", NOON, &deck, DeckExtent::Whole);
            let changes = changes.unwrap();
            (
                changes.unchanged,
                changes.revised,
                changes.new + changes.removed,
            )
        };
        assert_eq!(record(5), (1, 0, 0), "{version}: the id has no part in it");
        assert_eq!(record(6), (0, 1, 0), "{version}");
        assert_eq!(record(6), (1, 0, 0), "{version}");
        let gone = journal.record_rates("hq", NOON, &[], DeckExtent::Whole);
        assert_eq!(gone.unwrap().removed, 1, "{version}: under one key only");

        let balance = |balance| Balance {
            client_id: Some("c1"),
            balance: Reading::Known(balance),
            ..Balance::default()
        };
        let other = Balance {
            allowance_description: Some("calls"),
            ..balance(-1)
        };
        let record = |balances: &[Balance<'_>]| {
            let changes = journal.record_balances("acme", NOON, balances).unwrap();
            (changes.unchanged, changes.revised, changes.new)
        };
        assert_eq!(record(&[balance(-1)]), (1, 0, 0), "{version}");
        assert_eq!(record(&[other, balance(-2)]), (0, 1, 1), "{version}");
        assert_eq!(record(&[other, balance(-2)]), (2, 0, 0), "{version}");
        drop(journal);
        let mut reader = Reader::open(place.path()).unwrap();
        assert!(reader.verify(|_| ()).unwrap().is_sound());
    }
}

#[test]
fn a_newer_format_is_left_alone() {
    let place = Place::new();
    drop(place.open());
    let conn = rusqlite::Connection::open(place.path()).unwrap();
    conn.pragma_update(None, "user_version", 6).unwrap();
    drop(conn);
    let error = Journal::open(place.path(), &Options::default()).unwrap_err();
    assert!(matches!(
        error,
        JournalError::NewerFormat {
            found: 6,
            supported: 5,
            ..
        }
    ));
    insta::assert_snapshot!(error.to_string().replace(&place.path().display().to_string(), "PATH"), @"journal PATH has format 6, but this callmeter reads formats up to 5: run a newer callmeter");
}
