//! Copies between files and servers: totals, cursors and ids are equal afterwards.

use std::fmt::Write as _;

use callmeter_journal::{
    AccountState, CoverageChange, DayCoverage, DeckExtent, InstanceOptions, Journal, JournalError,
    Reader, RetentionPolicy, Start,
};
use callmeter_records::{Billing, Call, Rate, Stream};

use crate::support::{DAY, Engine, MINUTE, NOON, Place, all_batches, call, on, poll_page};

/// Adds what a journal can have.
fn fill(journal: &Journal, from: i64, pages: i64) {
    for page in from..from + pages {
        let (first, second) = (format!("call {page}"), format!("other {page}"));
        let edited = Call {
            notes: Some(&second),
            ..call("edited")
        };
        poll_page(
            journal,
            NOON + page * MINUTE,
            &[call(&first), call(&second), edited],
        );
        let prefix = format!("{page} \0 ä");
        let rate = Rate {
            prefix: Some(&prefix),
            ..Rate::default()
        };
        let part = DeckExtent::Part;
        journal.record_rates("acme", NOON, &[rate], part).unwrap();
    }
    let billing = Billing::default();
    journal.record_billing("hq", NOON, &billing).unwrap();
    for output in ["csv", "crm"] {
        journal
            .register_output(output, Stream::Calls, Start::Oldest)
            .unwrap();
    }
    let half = all_batches(journal)[2].meta.seq;
    journal.acknowledge("csv", Stream::Calls, half).unwrap();
    journal.store_snapshot(half, b"totals \0").unwrap();
    let day = DayCoverage {
        day: 20_000,
        failure: Some("it failed \0".to_owned()),
        ..DayCoverage::default()
    };
    let state = AccountState {
        watermark: Some(NOON),
        page_base: Some(1),
    };
    let change = CoverageChange {
        changed: vec![day],
        removed: Vec::new(),
    };
    journal.set_account_state("acme", state, change).unwrap();
}

/// All that can be read of a journal.
fn contents(reader: &mut Reader) -> String {
    let mut text = String::new();
    let mut after = callmeter_journal::BatchSeq::START;
    while let Some(batch) = reader.next_of_any(after).unwrap() {
        after = batch.meta.seq;
        writeln!(text, "{:?} {:?}", batch.meta, batch.records).unwrap();
    }
    let mut stats = reader.stats().unwrap();
    stats.bytes = 0;
    writeln!(text, "{stats:#?} {:?}", reader.latest_snapshot().unwrap()).unwrap();
    let deck = reader.deck_state("acme", after).unwrap();
    writeln!(text, "{} {:?}", deck.rates(), deck.currency()).unwrap();
    text
}

fn copy(from: &Place, to: &Place) -> Result<callmeter_journal::Copied, JournalError> {
    match to {
        Place::Files(_) => from.reader().copy_to_file(&to.path(), |_, _| ()),
        Place::Schema(journal) => from.reader().copy_to_server(journal, |_, _| ()),
    }
}

fn is_equal_after(from: Engine, to: Engine) {
    let source = on(from, Place::new);
    let journal = source.open();
    fill(&journal, 0, 90);
    let target = on(to, Place::new);
    let copied = copy(&source, &target).unwrap();
    assert_eq!(copied.head, journal.head());
    assert_eq!(
        contents(&mut target.reader()),
        contents(&mut source.reader())
    );
    let verified = target.reader().verify(|_| ()).unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    // The copy is a journal of its own: it knows what it has, and other ids follow.
    let other = target.open();
    assert_eq!(
        other.coverage("acme").unwrap(),
        journal.coverage("acme").unwrap()
    );
    let added = |journal: &Journal| {
        let now = NOON + 100 * MINUTE;
        poll_page(journal, now, &[call("call 5"), call("new")])
            .1
            .batches
    };
    let (one, two) = (added(&journal), added(&other));
    assert_eq!(one[0].meta.rows, 1);
    assert_eq!(
        (one[0].meta.seq, &one[0].records),
        (two[0].meta.seq, &two[0].records)
    );
    assert_ne!(one[0].meta.id, two[0].meta.id);
    // It is not overwritten.
    drop(other);
    let error = copy(&source, &target).unwrap_err();
    assert!(matches!(error, JournalError::CopyExists { .. }), "{error}");
    let error = copy(&target, &target).unwrap_err();
    assert!(!matches!(error, JournalError::Corrupt { .. }), "{error}");
    let another = on(from, Place::new);
    poll_page(&another.open(), NOON, &[call("a")]);
    let error = copy(&another, &target).unwrap_err();
    assert!(matches!(error, JournalError::NotEmpty { .. }), "{error}");
}

#[test]
fn from_a_file_to_a_server() {
    is_equal_after(Engine::File, Engine::Server);
}

#[test]
fn from_a_server_to_a_file() {
    is_equal_after(Engine::Server, Engine::File);
}

#[test]
fn from_a_file_to_a_file() {
    is_equal_after(Engine::File, Engine::File);
}

/// A copy that is broken off is no journal. Copying again goes on, also if the journal has changed.
#[test]
fn a_copy_goes_on() {
    for (from, to) in [
        (Engine::File, Engine::Server),
        (Engine::Server, Engine::File),
    ] {
        let source = on(from, Place::new);
        let journal = source.open();
        fill(&journal, 0, 90);
        let target = on(to, Place::new);
        let broken = std::panic::catch_unwind(|| {
            let stop = |copied: u64, _| assert!(copied < 100, "broken off");
            match &target {
                Place::Files(_) => source.reader().copy_to_file(&target.path(), stop),
                Place::Schema(journal) => source.reader().copy_to_server(journal, stop),
            }
        });
        assert!(broken.is_err());
        let error = target.try_open().unwrap_err();
        assert!(
            matches!(error, JournalError::UnfinishedCopy { .. }),
            "{error}"
        );
        let other = on(from, Place::new);
        other.open();
        let error = copy(&other, &target).unwrap_err();
        assert!(matches!(error, JournalError::NotEmpty { .. }), "{error}");
        fill(&journal, 90, 5);
        let everything = RetentionPolicy {
            keep: Some(std::time::Duration::ZERO),
            drop_unacknowledged: true,
            ..RetentionPolicy::default()
        };
        let deleted = journal.retain(&everything, NOON + DAY).unwrap();
        assert!(deleted.batches > 0);
        copy(&source, &target).unwrap();
        assert_eq!(
            contents(&mut target.reader()),
            contents(&mut source.reader())
        );
        assert!(target.reader().verify(|_| ()).unwrap().is_sound());
    }
}

/// A copy with a row that differs is not finished.
#[test]
fn a_copy_is_equal_or_not_finished() {
    let source = on(Engine::File, Place::new);
    let journal = source.open();
    fill(&journal, 0, 90);
    let target = on(Engine::File, Place::new);
    let broken = std::panic::catch_unwind(|| {
        let stop = |copied: u64, _| assert!(copied < 100, "broken off");
        source.reader().copy_to_file(&target.path(), stop)
    });
    assert!(broken.is_err());
    let conn = rusqlite::Connection::open(target.path()).unwrap();
    let change = "UPDATE batches SET checksum = checksum + 1 WHERE seq = 3";
    assert_eq!(conn.execute(change, []).unwrap(), 1);
    let error = copy(&source, &target).unwrap_err();
    assert!(
        matches!(&error, JournalError::CopyDiffers { table, .. } if table == "batches"),
        "{error}"
    );
    let error = target.try_open().unwrap_err();
    assert!(
        matches!(error, JournalError::UnfinishedCopy { .. }),
        "{error}"
    );
    let undo = "UPDATE batches SET checksum = checksum - 1 WHERE seq = 3";
    assert_eq!(conn.execute(undo, []).unwrap(), 1);
    let copied = copy(&source, &target).unwrap();
    assert_eq!(copied.cursors, 2);
    assert_eq!(copied.accounts, 2);
    let stats = source.reader().stats().unwrap();
    let records = |stream| {
        let streams = stats.streams.iter().filter(|stats| stats.stream == stream);
        streams.map(|stats| stats.records).sum::<u64>()
    };
    for (stream, copied) in &copied.records {
        assert_eq!(*copied, records(*stream), "{stream}");
    }
    assert_eq!(copied.records.len(), 3);
}

/// Who works on a journal is known, and nothing is copied to where instances work.
#[test]
fn a_journal_in_use() {
    for engine in [Engine::File, Engine::Server] {
        let source = on(engine, Place::new);
        let journal = source.open();
        fill(&journal, 0, 3);
        if engine == Engine::Server {
            assert!(source.reader().used_by().unwrap().is_empty());
            journal.join(InstanceOptions::new("one"));
            journal.round(&[]).unwrap();
            assert_eq!(source.reader().used_by().unwrap(), ["one"]);
        } else {
            let process = format!("process {}", std::process::id());
            assert_eq!(source.reader().used_by().unwrap(), [process]);
        }
        drop(journal);
    }
    let source = on(Engine::File, Place::new);
    fill(&source.open(), 0, 3);
    assert!(source.reader().used_by().unwrap().is_empty());
    // An instance that has written nothing yet.
    let target = on(Engine::Server, Place::new);
    let journal = target.open();
    journal.join(InstanceOptions::new("one"));
    journal.round(&[]).unwrap();
    let error = copy(&source, &target).unwrap_err();
    assert!(
        matches!(&error, JournalError::CopyInUse { instances, .. } if instances == "one"),
        "{error}"
    );
    journal.leave().unwrap();
    copy(&source, &target).unwrap();
}
