//! Cursors and backlogs of outputs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use callmeter_journal::{Backlog, BatchSeq, Journal, JournalError, Options, Start};
use callmeter_records::Stream;

use crate::support::{MINUTE, NOON, Place, all_batches, call, on_both_engines, poll_page};

/// Outputs that keep up get batches from memory, others from the file: both get the same.
fn the_newest_batches_are_those_that_a_reader_finds() {
    let place = Place::new();
    let journal = place.open();
    let notes: Vec<String> = (0..2_000_u64)
        .map(|n| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).repeat(20))
        .collect();
    for page in 0..6_i64 {
        let calls: Vec<_> = notes
            .iter()
            .enumerate()
            .map(|(number, note)| callmeter_records::Call {
                notes: Some(note),
                id: Some(note.get(..16).unwrap()),
                talk_ms: callmeter_records::Reading::Known(
                    page * 10_000 + i64::try_from(number).unwrap(),
                ),
                ..call("")
            })
            .collect();
        // From the second on, every call is a revision.
        poll_page(&journal, NOON + page * MINUTE, &calls);
        let mut reader = place.reader();
        let mut after = BatchSeq::START;
        while let Some(read) = reader.next_batch(Stream::Calls, after).unwrap() {
            let given = journal.next_batch(Stream::Calls, after).unwrap().unwrap();
            assert_eq!(given.meta, read.meta);
            assert_eq!(given.records, read.records);
            assert_eq!(
                journal.batch(read.meta.seq).unwrap().unwrap().records,
                read.records
            );
            after = read.meta.seq;
        }
        assert_eq!(after, journal.head());
        for stream in [Stream::Calls, Stream::Rates] {
            assert!(journal.next_batch(stream, after).unwrap().is_none());
        }
        assert!(
            journal
                .next_batch(Stream::Rates, BatchSeq::START)
                .unwrap()
                .is_none()
        );
    }
}

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
    // Registering again keeps the cursor.
    let cursor = journal
        .register_output("csv", Stream::Calls, Start::Oldest)
        .unwrap();
    assert_eq!((cursor.batch, cursor.sequence), (BatchSeq(2), 2));
    // A batch beyond the end stands for the last one.
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
    let removed = journal
        .set_outputs(&[("late", Stream::Calls, Start::Oldest)])
        .unwrap();
    assert_eq!((removed.len(), removed[0].output.as_str()), (1, "csv"));
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
fn outputs_change_together_or_not_at_all() {
    let place = Place::new();
    let journal = place.open();
    poll_page(&journal, NOON, &[call("a")]);
    let cursors = |journal: &Journal| -> Vec<(String, Stream, BatchSeq)> {
        let cursors = journal.cursors().unwrap().into_iter();
        cursors
            .map(|cursor| (cursor.output, cursor.stream, cursor.batch))
            .collect()
    };
    let (calls, rates) = (Stream::Calls, Stream::Rates);
    let both = [("csv", calls, Start::Oldest), ("csv", rates, Start::Oldest)];
    assert!(journal.set_outputs(&both).unwrap().is_empty());
    journal.acknowledge("csv", calls, BatchSeq(1)).unwrap();
    // What is known keeps its place, whatever the start.
    let wanted = [("csv", calls, Start::Oldest), ("crm", calls, Start::Newest)];
    let removed = journal.set_outputs(&wanted).unwrap();
    assert_eq!((removed.len(), removed[0].stream), (1, rates));
    let expected = [
        ("crm".to_owned(), calls, BatchSeq(1)),
        ("csv".to_owned(), calls, BatchSeq(1)),
    ];
    assert_eq!(cursors(&journal), expected);

    // A journal that is full: neither is the one output removed nor the others added.
    let pages = std::fs::metadata(place.path()).unwrap().len() / 4096;
    drop(journal);
    let options = Options {
        page_limit: Some(u32::try_from(pages).unwrap() + 1),
    };
    let journal = Journal::open(place.path(), &options).unwrap();
    let names: Vec<String> = (0..2_000)
        .map(|number| format!("output-{number}"))
        .collect();
    let many: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), calls, Start::Oldest))
        .collect();
    let error = journal.set_outputs(&many).unwrap_err();
    assert!(matches!(error, JournalError::Full { .. }), "{error}");
    assert_eq!(cursors(&journal), expected);
}

fn who_waits_is_woken_by_an_append() {
    let place = Place::new();
    let journal = place.open();
    assert_eq!(
        journal.wait_beyond(BatchSeq::START, Duration::from_millis(1), || false),
        BatchSeq::START
    );
    let waiter = std::thread::spawn({
        let journal = journal.clone();
        move || journal.wait_beyond(BatchSeq::START, Duration::from_mins(1), || false)
    });
    poll_page(&journal, NOON, &[call("a")]);
    assert_eq!(waiter.join().unwrap(), BatchSeq(1));
    // Also by what ends its wait.
    let ended = Arc::new(AtomicBool::new(false));
    let waiter = std::thread::spawn({
        let (journal, ended) = (journal.clone(), Arc::clone(&ended));
        let ends = move || ended.load(Ordering::SeqCst);
        move || journal.wait_beyond(BatchSeq(1), Duration::from_hours(1), ends)
    });
    ended.store(true, Ordering::SeqCst);
    journal.wake();
    assert_eq!(waiter.join().unwrap(), BatchSeq(1));
}

#[test]
fn a_restored_backup_gives_other_ids() {
    let place = Place::new();
    let journal = place.open();
    journal
        .register_output("crm", Stream::Calls, Start::Oldest)
        .unwrap();
    poll_page(&journal, NOON, &[call("a")]);
    journal
        .acknowledge("crm", Stream::Calls, BatchSeq(1))
        .unwrap();
    drop(journal);
    let backup = std::fs::read(place.path()).unwrap();
    let journal = place.open();
    poll_page(&journal, NOON, &[call("b")]);
    let original = all_batches(&journal);
    drop(journal);
    std::fs::write(place.path(), backup).unwrap();
    let journal = place.open();
    poll_page(&journal, NOON, &[call("c")]);
    let restored = all_batches(&journal);
    assert_eq!(restored[0].meta, original[0].meta);
    assert_eq!(restored[1].meta.seq, original[1].meta.seq);
    assert_ne!(restored[1].meta.id, original[1].meta.id);
    // The output gets the batch that has the number of another one.
    let next = journal.next_batch(Stream::Calls, BatchSeq(1)).unwrap();
    let next = next.unwrap().meta;
    assert_eq!(next.id, restored[1].meta.id);
    assert_eq!(journal.backlog("crm", Stream::Calls).unwrap().records, 1);
    // A batch keeps its id, read from the file or from memory, in this process or another.
    drop(journal);
    let mut reader = place.reader();
    let reread = reader.batch(next.seq).unwrap().unwrap().meta;
    assert_eq!(reread, next);
}

on_both_engines! {
    the_newest_batches_are_those_that_a_reader_finds
    a_cursor_moves_forward_only_and_outlives_a_restart
    who_waits_is_woken_by_an_append
}
