//! Full disks, missing permissions, damaged files: a clear error or the last commit, never wrong
//! data.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use callmeter_journal::{Classification, Journal, JournalError, Options, Reader, Start};
use callmeter_records::{Call, Stream};
use proptest::prelude::*;

use crate::files::{Files, PAGE};
use crate::support::{HOUR, NEW, NOON, Place, all_batches, call, call_lines, poll_page};

#[test]
fn a_second_process_is_refused() {
    let place = Place::new();
    let journal = place.open();
    let error = Journal::open(place.path(), &Options::default()).unwrap_err();
    assert!(matches!(error, JournalError::Locked { .. }));
    let text = error
        .to_string()
        .replace(&place.path().display().to_string(), "PATH");
    let text = text.replace(&std::process::id().to_string(), "4711");
    insta::assert_snapshot!(text, @"journal PATH is locked by another process (process 4711): stop that process, or use another path");
    // A reader ignores the lock.
    poll_page(&journal, NOON, &[call("a")]);
    assert_eq!(Reader::open(place.path()).unwrap().head().unwrap().0, 1);
    drop(journal);
    place.open();
}

#[test]
fn a_file_of_something_else_is_left_alone() {
    let place = Place::new();
    fs::write(
        place.path(),
        "not a database, but long enough to look like one ".repeat(200),
    )
    .unwrap();
    let before = fs::read(place.path()).unwrap();
    assert!(matches!(
        Journal::open(place.path(), &Options::default()),
        Err(JournalError::NotAJournal { .. })
    ));
    assert_eq!(fs::read(place.path()).unwrap(), before);
    fs::remove_file(place.path()).unwrap();
    let other = rusqlite::Connection::open(place.path()).unwrap();
    other.execute_batch("CREATE TABLE other (a)").unwrap();
    drop(other);
    assert!(matches!(
        Journal::open(place.path(), &Options::default()),
        Err(JournalError::NotAJournal { .. })
    ));
    assert!(matches!(
        Reader::open(place.path().with_extension("none")),
        Err(JournalError::Missing { .. })
    ));
}

#[test]
fn a_full_disk_loses_nothing() {
    let place = Place::new();
    poll_page(&place.open(), NOON, &[call("a")]);
    let pages = fs::metadata(place.path()).unwrap().len() / 4096;
    let limit = u32::try_from(pages).unwrap() + 4;
    let journal = Journal::open(
        place.path(),
        &Options {
            page_limit: Some(limit),
        },
    )
    .unwrap();
    // Random text cannot be compressed.
    let mut state = 1u64;
    let notes: String = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b' ' + u8::try_from((state >> 33) % 90).unwrap())
    })
    .take(60_000)
    .collect();
    let big = Call {
        notes: Some(&notes),
        ..call("b")
    };
    let mut poll = crate::support::poll(&journal, NOON);
    let mut page = poll.page(NOON - 2 * HOUR..NOON, NOON).unwrap();
    assert_eq!(page.add(&big).unwrap(), NEW);
    let error = page.commit(None).unwrap_err();
    assert!(
        matches!(error, JournalError::Full { .. }) && error.is_transient(),
        "{error}"
    );
    // It was not counted, and smaller pages can still be appended.
    assert_eq!(poll_page(&journal, NOON, &[call("c")]).0, [NEW]);
    assert_eq!(call_lines(&journal).len(), 2);
    drop((poll, journal));
    let journal = place.open();
    assert_eq!(
        poll_page(&journal, NOON, &[big, call("c")]).0,
        [NEW, Classification::Known]
    );
    assert_eq!(
        all_batches(&journal)
            .iter()
            .map(|batch| batch.meta.seq.0)
            .collect::<Vec<_>>(),
        [1, 2, 3]
    );
}

/// Root can write everything: the test runs itself again as user `nobody`.
#[test]
fn without_write_access_it_says_so() {
    let place = Place::new();
    poll_page(&place.open(), NOON, &[call("a")]);
    let directory = place.path().parent().unwrap().to_owned();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o444)).unwrap();
    let refused = |path: &std::path::Path| {
        matches!(
            Journal::open(path, &Options::default()),
            Err(JournalError::ReadOnly { .. })
        )
    };
    if let Some(path) = std::env::var_os("JOURNAL_AS_NOBODY") {
        assert!(refused(path.as_ref()));
    } else if rustix::process::geteuid().is_root() {
        // The test binary may be where `nobody` has no access: run a copy.
        let own = tempfile::tempdir().unwrap();
        fs::set_permissions(own.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = own.path().join("test");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let status = Command::new(program)
            .args(["--exact", "faults::without_write_access_it_says_so"])
            .env("JOURNAL_AS_NOBODY", place.path())
            .current_dir("/")
            .uid(65_534)
            .status()
            .unwrap();
        assert!(status.success());
    } else {
        assert!(refused(&place.path()));
    }
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A journal with data of every kind, and its checkpointed file.
fn sample() -> Files {
    let place = Place::new();
    let journal = place.open();
    for (minute, id) in (0i64..).zip(["a", "b", "c", "d"]) {
        poll_page(
            &journal,
            NOON + minute,
            &[
                call(id),
                Call {
                    notes: Some("x"),
                    ..call("a")
                },
            ],
        );
    }
    journal
        .register_output("csv", Stream::Calls, Start::Oldest)
        .unwrap();
    journal.store_snapshot(journal.head(), &[7; 300]).unwrap();
    drop(journal);
    Files::read(&place.path())
}

/// Everything that totals and outputs are derived from. Fails if the journal says that it is
/// damaged.
fn figures(path: &std::path::Path) -> Result<String, JournalError> {
    let journal = Journal::open(path, &Options::default())?;
    let mut text = String::new();
    let mut after = callmeter_journal::BatchSeq::START;
    while let Some(batch) = journal.next_of_any(after)? {
        after = batch.meta.seq;
        text += &format!("{:?} {:?}\n", batch.meta, batch.records);
    }
    text += &format!(
        "{:?}\n{:?}\n",
        journal.account_state("acme")?,
        journal.cursors()?
    );
    text += &format!("{:?}", journal.backlog("csv", Stream::Calls)?);
    Ok(text)
}

/// A changed table definition can make SQLite read an intact table as empty: if a table loses its
/// `INTEGER PRIMARY KEY`, the numbers of its rows read as NULL.
#[test]
fn a_damaged_table_definition_is_found() {
    let files = sample();
    let key = b"INTEGER PRIMARY KEY";
    let damaged: Vec<usize> = (0..PAGE)
        .filter(|at| files.database[*at..].starts_with(key))
        .collect();
    assert_eq!(damaged.len(), 9);
    for at in damaged {
        let mut files = files.clone();
        files.database[at + "INTEGER".len()] ^= 0x41;
        let place = files.put();
        let text = |error: JournalError| match error {
            JournalError::Corrupt { what, .. } => what,
            other => other.to_string(),
        };
        let read = text(Reader::open(place.path()).unwrap_err());
        assert!(read.starts_with("the definition of table `"), "{read}");
        assert_eq!(text(figures(&place.path()).unwrap_err()), read);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever bytes are damaged: reading fails, or returns what was written, or verification
    /// finds the damage.
    #[test]
    fn damage_is_an_error_or_without_effect(damage in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4)) {
        static SAMPLE: std::sync::LazyLock<(Files, String)> = std::sync::LazyLock::new(|| {
            let files = sample();
            let place = files.put();
            (files.clone(), figures(&place.path()).unwrap())
        });
        let (sound, expected) = &*SAMPLE;
        let mut files = sound.clone();
        for (index, by) in damage {
            let index = index.index(files.database.len());
            files.database[index] ^= by;
        }
        let place = files.put();
        let verified = Reader::open(place.path()).and_then(|mut reader| reader.verify(|_| ()));
        if let Ok(read) = figures(&place.path()) {
            // A damaged cursor may read as an output that is not registered: verification finds it.
            prop_assert!(&read == expected || !verified.is_ok_and(|verified| verified.is_sound()), "{}", read);
        }
    }
}
