//! Charges are appended once, and the deck of a batch is known even when its batches are deleted.

use std::time::Duration;

use callmeter_journal::{
    BatchSeq, DeckExtent, DeckState, Journal, JournalError, NewCharges, RetentionPolicy, Start,
};
use callmeter_records::{
    Billing, Call, Charge, ChargesBuilder, ChargesView, Rate, Reading, RowMark, Stream,
};

use crate::support::{DAY, HOUR, NOON, Place, all_batches, call, on_both_engines, poll_page};

const CURSOR: &str = "charges/spend";

fn charges(amounts: &[i128]) -> ChargesBuilder {
    let mut builder = ChargesBuilder::new();
    for amount in amounts {
        let charge = Charge {
            amount: Reading::Known(*amount),
            ..Charge::default()
        };
        builder.append(RowMark::NEW, &charge);
    }
    builder
}

fn new(calls: u64, amounts: &[i128]) -> NewCharges<'static> {
    NewCharges {
        account: "acme",
        cursor: CURSOR,
        calls: BatchSeq(calls),
        observed_at: NOON,
        span: Some((NOON - HOUR, NOON - HOUR)),
        charges: charges(amounts),
    }
}

fn a_batch_of_calls_is_charged_once() {
    let place = Place::new();
    let journal = place.open();
    poll_page(&journal, NOON, &[call("a"), call("b")]);
    poll_page(&journal, NOON + HOUR, &[call("c")]);
    // Without a cursor nothing is appended.
    assert!(matches!(
        journal.append_charges(new(1, &[1])),
        Err(JournalError::UnknownOutput { .. })
    ));
    journal
        .register_output(CURSOR, Stream::Calls, Start::Oldest)
        .unwrap();
    let batch = journal.append_charges(new(1, &[1, 2])).unwrap().unwrap();
    assert_eq!((batch.meta.seq, batch.meta.rows), (BatchSeq(3), 2));
    let cursor = || journal.cursor(CURSOR, Stream::Calls).unwrap().unwrap();
    assert_eq!((cursor().batch, cursor().sequence), (BatchSeq(1), 2));
    // Again: neither the batch nor its numbers.
    assert!(matches!(
        journal.append_charges(new(1, &[1, 2])),
        Err(JournalError::CursorMoved { .. })
    ));
    assert_eq!((journal.head(), cursor().batch), (BatchSeq(3), BatchSeq(1)));
    // Without charges only the cursor moves.
    assert!(journal.append_charges(new(2, &[])).unwrap().is_none());
    assert_eq!((journal.head(), cursor().batch), (BatchSeq(3), BatchSeq(2)));

    let of = |calls| {
        let found = journal.charges_of("acme", BatchSeq(calls)).unwrap();
        found.map(|batch| {
            let view = ChargesView::new(&batch.records).unwrap();
            view.rows()
                .map(|row| row.amount().unwrap())
                .collect::<Vec<_>>()
        })
    };
    assert_eq!((of(1), of(2)), (Some(vec![1, 2]), None));
    let last = |account| journal.last_charged(account).unwrap();
    assert_eq!((last("acme"), last("hq")), (BatchSeq(1), BatchSeq(0)));
    let mut reader = place.reader();
    assert!(reader.verify(|_| ()).unwrap().is_sound());
}

fn revised_calls_name_the_batch_before() {
    let place = Place::new();
    let journal = place.open();
    poll_page(&journal, NOON, &[call("a"), call("b")]);
    let edited = Call {
        talk_ms: Reading::Known(7),
        ..call("b")
    };
    poll_page(&journal, NOON + HOUR, &[call("new"), edited]);
    assert_eq!(journal.revised_rows(BatchSeq(1)).unwrap(), []);
    let revised = journal.revised_rows(BatchSeq(2)).unwrap();
    assert_eq!(revised.len(), 1);
    assert_eq!((revised[0].row, revised[0].batch), (1, BatchSeq(1)));
    assert_eq!(journal.revised_rows(BatchSeq(9)).unwrap(), []);
}

fn rate(prefix: &str, price: i128) -> Rate<'_> {
    Rate {
        prefix: Some(prefix),
        price_1: Reading::Known(price),
        ..Rate::default()
    }
}

fn deck(journal: &Journal, through: u64) -> String {
    show(&journal.deck_state("pbx", BatchSeq(through)).unwrap())
}

fn show(state: &DeckState) -> String {
    let mut rates = Vec::new();
    state.for_each_rate(|rate| {
        let prefix = rate.prefix.unwrap_or_default();
        rates.push(format!("{prefix}={}", rate.price_1.known().unwrap_or(-1)));
    });
    rates.sort();
    format!(
        "{} {} {:?}: {}",
        state.has_rates(),
        state.has_billing(),
        state.currency(),
        rates.join(" ")
    )
}

fn the_deck_of_a_batch_survives_retention() {
    let place = Place::new();
    let journal = place.open();
    let record = |day: i64, deck: &[Rate<'_>]| {
        journal
            .record_rates("pbx", NOON + day * DAY, deck, DeckExtent::Whole)
            .unwrap();
    };
    let bill = |day: i64, currency| {
        let billing = Billing {
            balance: Reading::Known(day.into()),
            currency,
            ..Billing::default()
        };
        journal
            .record_billing("pbx", NOON + day * DAY, &billing)
            .unwrap();
    };
    record(0, &[rate("41", 1), rate("42", 2)]);
    bill(0, Some("CHF"));
    record(1, &[rate("41", 1), rate("42", 3), rate("43", 3)]);
    bill(2, None);
    record(3, &[rate("41", 9), rate("43", 3)]);
    // Of another account.
    journal
        .record_rates("other", NOON, &[rate("99", 9)], DeckExtent::Whole)
        .unwrap();
    let before: Vec<_> = (0..=6).map(|through| deck(&journal, through)).collect();
    assert_eq!(
        before,
        [
            "false false None: ",
            "true false None: 41=1 42=2",
            "true true Some(\"CHF\"): 41=1 42=2",
            "true true Some(\"CHF\"): 41=1 42=3 43=3",
            "true true Some(\"CHF\"): 41=1 42=3 43=3",
            "true true Some(\"CHF\"): 41=9 43=3",
            "true true Some(\"CHF\"): 41=9 43=3",
        ]
    );
    journal.store_snapshot(journal.head(), b"").unwrap();
    for (keep, deleted) in [(2, 3), (1, 4), (0, 6)] {
        let policy = RetentionPolicy {
            keep: Some(Duration::from_hours(24 * keep)),
            ..RetentionPolicy::default()
        };
        journal.retain(&policy, NOON + 3 * DAY + HOUR).unwrap();
        let first = all_batches(&journal)
            .first()
            .map_or(7, |batch| batch.meta.seq.0);
        assert_eq!(first, deleted + 1, "{keep}");
        for through in deleted..=6 {
            let at = usize::try_from(through).unwrap();
            assert_eq!(deck(&journal, through), before[at], "{keep} {through}");
        }
    }
    let mut reader = place.reader();
    assert!(reader.verify(|_| ()).unwrap().is_sound());
    drop(journal);
    // The deck goes on from there.
    let journal = place.open();
    let last = [rate("41", 10)];
    journal
        .record_rates("pbx", NOON + 4 * DAY, &last, DeckExtent::Whole)
        .unwrap();
    let head = journal.head().0;
    assert_eq!(deck(&journal, head), "true true Some(\"CHF\"): 41=10");
}

fn a_deck_of_many_changes_is_gathered() {
    let place = Place::new();
    let journal = place.open();
    let mut state = DeckState::default();
    for price in 1..200 {
        let changes = journal
            .record_rates(
                "pbx",
                NOON,
                &[rate("41", price), rate("42", 7)],
                DeckExtent::Whole,
            )
            .unwrap();
        assert!(state.apply(&changes.batch.unwrap()).unwrap());
    }
    assert_eq!(show(&state), "true false None: 41=199 42=7");
    assert_eq!(show(&state), deck(&journal, journal.head().0));
    let first = journal
        .next_deck_change("pbx", Stream::Rates, BatchSeq(0))
        .unwrap()
        .unwrap();
    assert_eq!(first.meta.seq, BatchSeq(1));
    for (account, stream) in [("nobody", Stream::Rates), ("pbx", Stream::Billing)] {
        let change = journal.next_deck_change(account, stream, BatchSeq(0));
        assert!(change.unwrap().is_none(), "{account} {stream:?}");
    }
}

on_both_engines! {
    a_batch_of_calls_is_charged_once
    revised_calls_name_the_batch_before
    the_deck_of_a_batch_survives_retention
    a_deck_of_many_changes_is_gathered
}
