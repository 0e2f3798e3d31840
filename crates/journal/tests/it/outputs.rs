//! Cursors and backlogs of outputs.

use std::time::Duration;

use callmeter_journal::{Backlog, BatchSeq, JournalError, Start};
use callmeter_records::Stream;

use crate::support::{MINUTE, NOON, Place, call, poll_page};

#[test]
fn a_cursor_moves_forward_only_and_outlives_a_restart() {
    let place = Place::new();
    let journal = place.open();
    for (number, id) in ["a", "b", "c"].into_iter().enumerate() {
        poll_page(
            &journal,
            NOON + i64::try_from(number).unwrap() * MINUTE,
            &[call(id)],
        );
    }
    journal
        .register_output("csv", Stream::Calls, Start::Oldest)
        .unwrap();
    journal
        .register_output("late", Stream::Calls, Start::Newest)
        .unwrap();
    let backlog = |output| journal.backlog(output, Stream::Calls).unwrap();
    assert_eq!(
        backlog("csv"),
        Backlog {
            records: 3,
            oldest_observed_at: Some(NOON),
            lost: 0
        }
    );
    assert_eq!(backlog("late"), Backlog::default());
    journal
        .acknowledge("csv", Stream::Calls, BatchSeq(2))
        .unwrap();
    journal
        .acknowledge("csv", Stream::Calls, BatchSeq(1))
        .unwrap();
    assert_eq!(
        backlog("csv"),
        Backlog {
            records: 1,
            oldest_observed_at: Some(NOON + 2 * MINUTE),
            lost: 0
        }
    );
    // Registering again keeps what is there.
    let cursor = journal
        .register_output("csv", Stream::Calls, Start::Oldest)
        .unwrap();
    assert_eq!((cursor.batch, cursor.sequence), (BatchSeq(2), 2));
    // Beyond the end is the end.
    journal
        .acknowledge("csv", Stream::Calls, BatchSeq(99))
        .unwrap();
    drop(journal);
    let journal = place.open();
    assert_eq!(
        journal.cursor("csv", Stream::Calls).unwrap().unwrap().batch,
        BatchSeq(3)
    );
    assert_eq!(journal.cursors().unwrap().len(), 2);
    journal.remove_output("csv").unwrap();
    assert_eq!(journal.cursor("csv", Stream::Calls).unwrap(), None);
    let error = journal.backlog("csv", Stream::Calls).unwrap_err();
    assert!(matches!(error, JournalError::UnknownOutput { .. }));
    insta::assert_snapshot!(error, @"output `csv` has no cursor for calls");
    assert!(
        journal
            .acknowledge("csv", Stream::Rates, BatchSeq(1))
            .is_err()
    );
}

#[test]
fn who_waits_is_woken_by_an_append() {
    let place = Place::new();
    let journal = place.open();
    assert_eq!(
        journal.wait_beyond(BatchSeq::START, Duration::from_millis(1)),
        BatchSeq::START
    );
    let waiter = std::thread::spawn({
        let journal = journal.clone();
        move || journal.wait_beyond(BatchSeq::START, Duration::from_mins(1))
    });
    poll_page(&journal, NOON, &[call("a")]);
    assert_eq!(waiter.join().unwrap(), BatchSeq(1));
}
