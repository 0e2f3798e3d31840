//! Several instances with one journal on a server, and connections that are cut.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use callmeter_journal::{BatchSeq, Journal, JournalError, RetentionPolicy, Start};
use callmeter_records::{Call, CallsView, Stream};

use crate::proxy::{Proxy, Way};
use crate::support::{
    Engine, HOUR, NOON, Place, add_page, all_batches, call, call_lines, on, poll, regular,
};

fn place() -> Place {
    on(Engine::Server, Place::new)
}

fn append(journal: &Journal, account: &str, id: &str) -> BatchSeq {
    let mut poll = journal.ingest_session(account, regular(NOON)).unwrap();
    let (_, committed) = add_page(&mut poll, NOON, &[call(id)]);
    committed.batches[0].meta.seq
}

#[test]
fn instances_append_one_after_the_other() {
    let place = place();
    let (one, two) = (place.open(), place.open());
    one.register_output("csv", Stream::Calls, Start::Oldest)
        .unwrap();
    for (number, id) in (0_u64..).zip(["a", "b", "c", "d", "e", "f"]) {
        let (journal, account) = if number % 3 == 1 {
            (&two, "other")
        } else {
            (&one, "acme")
        };
        assert_eq!(append(journal, account, id), BatchSeq(number + 1));
    }
    // Both find all batches, whoever appended them, with the same ids.
    let read = |journal: &Journal| {
        assert_eq!(
            journal.wait_beyond(BatchSeq(5), Duration::from_mins(1), || false),
            BatchSeq(6)
        );
        let mut after = BatchSeq::START;
        let mut found = Vec::new();
        while let Some(batch) = journal.next_batch(Stream::Calls, after).unwrap() {
            after = batch.meta.seq;
            assert_eq!(journal.batch(after).unwrap().unwrap().meta, batch.meta);
            found.push(batch.meta);
        }
        found
    };
    let found = read(&one);
    assert_eq!(read(&two), found);
    let stored: Vec<_> = all_batches(&one)
        .into_iter()
        .map(|batch| batch.meta)
        .collect();
    assert_eq!(found, stored);
    let sequences: Vec<i64> = found.iter().map(|meta| meta.first_sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6]);
    // The ids of an instance begin with its epoch.
    let epoch = |index: usize| found[index].id.to_string()[..16].to_owned();
    assert_eq!((epoch(0), epoch(1)), (epoch(2), epoch(4)));
    assert_ne!(epoch(0), epoch(1));
    // A cursor that one has moved is there for the other.
    two.acknowledge("csv", Stream::Calls, BatchSeq(4)).unwrap();
    assert_eq!(one.backlog("csv", Stream::Calls).unwrap().records, 2);
    assert!(place.reader().verify(|_| ()).unwrap().is_sound());
}

#[test]
fn who_waits_is_woken_by_another_instance() {
    let place = place();
    let (one, two) = (place.open(), place.open());
    thread::scope(|scope| {
        let waits =
            scope.spawn(|| two.wait_beyond(BatchSeq::START, Duration::from_mins(2), || false));
        append(&one, "acme", "a");
        assert_eq!(waits.join().unwrap(), BatchSeq(1));
    });
    assert_eq!(
        two.next_batch(Stream::Calls, BatchSeq::START)
            .unwrap()
            .unwrap()
            .meta
            .seq,
        BatchSeq(1)
    );
}

/// Who follows goes on after its connection was cut.
#[test]
fn who_waits_is_woken_also_after_a_cut() {
    let place = place();
    let proxy = Proxy::new(crate::server::shared().port);
    let follower = Journal::connect(&place.behind(&proxy)).unwrap();
    let journal = place.open();
    for number in 1..4 {
        proxy.cut();
        let seq = append(&journal, "acme", &format!("call {number}"));
        assert_eq!(
            follower.wait_beyond(BatchSeq(number - 1), Duration::from_mins(2), || false),
            seq
        );
    }
}

/// A cursor passes no batch that is not committed yet: whoever reads while others append finds
/// every number.
#[test]
fn a_reader_never_passes_an_open_transaction() {
    const PAGES: u64 = 40;
    let place = place();
    let accounts = ["one", "two", "three"];
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = accounts
            .iter()
            .map(|account| {
                let journal = place.open();
                scope.spawn(move || {
                    for page in 0..PAGES {
                        append(&journal, account, &format!("{account} {page}"));
                    }
                })
            })
            .collect();
        let follows = scope.spawn(|| {
            let mut reader = place.reader();
            let mut after = BatchSeq::START;
            loop {
                let ended = has_ended.load(Ordering::Acquire);
                while let Some(batch) = reader.next_of_any(after).unwrap() {
                    assert_eq!(batch.meta.seq.0, after.0 + 1);
                    after = batch.meta.seq;
                }
                if ended {
                    return after;
                }
            }
        });
        for writer in writers {
            writer.join().unwrap();
        }
        has_ended.store(true, Ordering::Release);
        assert_eq!(follows.join().unwrap(), BatchSeq(3 * PAGES));
    });
    assert!(place.reader().verify(|_| ()).unwrap().is_sound());
}

#[test]
fn instances_that_start_at_once_create_one_journal() {
    let place = place();
    thread::scope(|scope| {
        let started: Vec<_> = (0..6).map(|_| scope.spawn(|| place.open())).collect();
        for (number, journal) in (0..).zip(started) {
            append(&journal.join().unwrap(), "acme", &format!("call {number}"));
        }
    });
    assert_eq!(call_lines(&place.open()).len(), 6);
}

/// The connections are cut at every point of an append, in what is sent and in what is answered. A
/// page that is committed is there once; one that is not can be committed again, and is there once.
#[test]
fn a_connection_that_is_cut_stores_a_page_once() {
    let place = place();
    let proxy = Proxy::new(crate::server::shared().port);
    let journal = Journal::connect(&place.behind(&proxy)).unwrap();
    let commit = |id: &str| {
        let mut poll = journal.ingest_session("acme", regular(NOON))?;
        let mut page = poll.page(NOON - 2 * HOUR..NOON, NOON)?;
        page.add(&call(id))?;
        page.commit(None)
    };
    commit("first").unwrap();
    let mut known = 1;
    let mut outcomes = [0, 0];
    // What answers a commit has 18 bytes.
    for (way, step) in [(Way::Up, 131), (Way::Down, 15)] {
        let before = proxy.passed(way);
        known += 1;
        commit(&format!("{way:?}")).unwrap();
        let bytes = proxy.passed(way) - before;
        for point in (0..bytes).step_by(step) {
            let id = format!("{way:?} {point}");
            proxy.cut_after(way, point);
            let mut tries = 0;
            while let Err(error) = commit(&id) {
                assert!(error.is_transient(), "{error}");
                tries += 1;
                assert!(tries < 10, "{error}");
            }
            outcomes[usize::from(tries > 0)] += 1;
            known += 1;
            proxy.cut();
        }
    }
    // Some were committed although the connection was cut, some had to be repeated.
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
    let lines = call_lines(&place.open());
    assert_eq!(lines.len(), known, "{lines:#?}");
    assert!(lines.iter().all(|line| line.contains(" r0 ")), "{lines:#?}");
    assert!(place.reader().verify(|_| ()).unwrap().is_sound());
}

/// A standby that is promoted may lack the last commits. Who knows of them must not go on, else
/// other batches get their ids.
#[test]
fn a_server_that_went_back_is_noticed() {
    for with_another in [false, true] {
        let place = place();
        let Place::Schema(settings) = &place else {
            panic!("a place on a server")
        };
        let (journal, other) = (place.open(), place.open());
        append(&journal, "acme", "a");
        let mut client = crate::support::admin();
        let mut run = |sql: &str| {
            let sql = format!("SET search_path TO {}; {sql}", settings.schema);
            client.batch_execute(&sql).unwrap();
        };
        run("CREATE TABLE old_head AS SELECT * FROM journal;
             CREATE TABLE old_streams AS SELECT * FROM streams");
        let lost = append(&journal, "acme", "lost");
        let id = journal.batch(lost).unwrap().unwrap().meta.id;
        run(
            "DELETE FROM batches WHERE seq = 2; DELETE FROM journal; DELETE FROM streams;
             INSERT INTO journal SELECT * FROM old_head;
             INSERT INTO streams SELECT * FROM old_streams",
        );
        if with_another {
            append(&other, "other", "b");
            append(&other, "other", "c");
        }
        let commit = |id: &str| {
            let mut poll = journal.ingest_session("acme", regular(NOON))?;
            let mut page = poll.page(NOON - 2 * HOUR..NOON, NOON)?;
            page.add(&call(id))?;
            page.commit(None)
        };
        for _ in 0..2 {
            let error = commit("d").unwrap_err();
            assert!(matches!(error, JournalError::WentBack { .. }), "{error}");
            assert!(!error.is_transient());
        }
        drop(journal);
        let journal = place.open();
        let again = append(&journal, "acme", "lost");
        assert_ne!(journal.batch(again).unwrap().unwrap().meta.id, id);
        assert!(place.reader().verify(|_| ()).unwrap().is_sound());
    }
}

/// The last handle may be dropped in a task, where nothing may wait.
#[test]
fn a_journal_may_be_dropped_in_a_task() {
    let place = place();
    let journal = place.open();
    append(&journal, "acme", "a");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async move { drop(journal) });
    assert_eq!(call_lines(&place.open()).len(), 1);
}

/// Keys that come from an API have any length and any characters.
#[test]
fn texts_of_an_api_may_be_long_and_have_zeros() {
    let place = place();
    let journal = place.open();
    let mut state = 1_u64;
    let long: String = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'0' + u8::try_from((state >> 33) % 60).unwrap())
    })
    .take(20_000)
    .collect();
    let rates = [long.as_str(), "zero \0 inside"].map(|prefix| callmeter_records::Rate {
        prefix: Some(prefix),
        ..callmeter_records::Rate::default()
    });
    let extent = callmeter_journal::DeckExtent::Whole;
    let changes = journal.record_rates("acme", NOON, &rates, extent).unwrap();
    assert_eq!(changes.new, 2);
    let again = journal.record_rates("acme", NOON, &rates, extent).unwrap();
    assert_eq!((again.new, again.unchanged), (0, 2));
    let text = Call {
        notes: Some("\0"),
        ..call("id \0")
    };
    add_page(&mut poll(&journal, NOON), NOON, &[text]);
    let batch = all_batches(&journal).pop().unwrap();
    let view = CallsView::new(&batch.records).unwrap();
    assert_eq!(view.row(0).unwrap().id(), Some("id \0"));
    assert!(place.reader().verify(|_| ()).unwrap().is_sound());
}

/// Work often begins with reading, and that must notice a lost connection, too: nothing else may
/// run that would.
#[test]
fn whatever_comes_first_after_a_lost_connection_makes_a_new_one() {
    type Operation = fn(&Journal) -> callmeter_journal::Result<()>;
    let place = place();
    let proxy = Proxy::new(crate::server::shared().port);
    let journal = Journal::connect(&place.behind(&proxy)).unwrap();
    append(&journal, "acme", "a");
    let operations: [(&str, Operation); 6] = [
        ("a new account", |journal| {
            journal.account_state("other").map(drop)
        }),
        ("an output", |journal| {
            let added = journal.register_output("csv", Stream::Calls, Start::Oldest);
            added.map(drop)
        }),
        ("outputs", |journal| journal.set_outputs(&[]).map(drop)),
        ("retention", |journal| {
            let policy = RetentionPolicy {
                keep: Some(Duration::from_hours(24)),
                ..RetentionPolicy::default()
            };
            journal.retain(&policy, NOON).map(drop)
        }),
        ("totals", |journal| {
            journal.store_snapshot(journal.head(), b"totals")
        }),
        ("cursors", |journal| journal.cursors().map(drop)),
    ];
    for (name, operation) in operations {
        proxy.cut();
        // It may take a moment until this end hears of it.
        for tries in 0.. {
            match operation(&journal) {
                Ok(()) => break,
                Err(error) => assert!(tries < 5, "{name}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
