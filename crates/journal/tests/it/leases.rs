//! Instances that share the work of one journal: each lease has one holder, and a process that lost
//! one writes nothing.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use callmeter_journal::{
    BatchSeq, CHARGES_CURSOR, Classification, CoverageChange, DeckExtent, InstanceOptions,
    JOURNAL_LEASE, Journal, JournalError, NewCharges, RetentionPolicy, Start, Work, account_lease,
    output_lease,
};
use callmeter_records::{Call, Charge, ChargesBuilder, Rate, Reading, RowMark, Stream};

use crate::support::{
    DAY, Engine, HOUR, NEW, NOON, Place, add_page, admin, all_batches, call, on, regular,
};

/// A lease of these tests, in which time passes only when they say so.
pub(crate) const LEASE: Duration = Duration::from_hours(1000);
/// What passes between two rounds.
pub(crate) const ROUND: Duration = Duration::from_hours(250);

pub(crate) fn place() -> Place {
    on(Engine::Server, Place::new)
}

pub(crate) fn instance(place: &Place, name: &str) -> Journal {
    let journal = place.open();
    journal.join(InstanceOptions {
        name: name.to_owned(),
        lease: LEASE,
    });
    journal
}

/// Lets time pass by the clock of the server.
pub(crate) fn advance(place: &Place, time: Duration) {
    let Place::Schema(journal) = place else {
        panic!("a file has no leases");
    };
    let (schema, micros) = (&journal.schema, time.as_micros());
    let statement = format!(
        "UPDATE {schema}.leases SET expires_at = expires_at - {micros};
         UPDATE {schema}.instances SET expires_at = expires_at - {micros}"
    );
    admin().batch_execute(&statement).unwrap();
}

pub(crate) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn charge() -> ChargesBuilder {
    let mut builder = ChargesBuilder::new();
    let charge = Charge {
        amount: Reading::Known(7),
        ..Charge::default()
    };
    builder.append(RowMark::NEW, &charge);
    builder
}

type Write = Box<dyn Fn(&Journal) -> Result<(), JournalError>>;

/// Every kind of write that needs a lease, each under a name.
fn writes() -> Vec<(&'static str, Write)> {
    let state = |journal: &Journal| {
        let mut state = journal.account_state("acme")?;
        state.watermark = Some(state.watermark.unwrap_or(0) + 1);
        Ok(state)
    };
    vec![
        (
            "account/acme",
            Box::new(|journal| {
                let mut poll = journal.ingest_session("acme", regular(NOON))?;
                let mut page = poll.page(NOON - DAY..NOON, NOON)?;
                page.add(&call(&format!("call {}", journal.head())))?;
                page.commit(None).map(drop)
            }),
        ),
        (
            "account/acme",
            Box::new(move |journal| {
                let state = state(journal)?;
                journal.set_account_state("acme", state, CoverageChange::default())
            }),
        ),
        (
            "account/acme",
            Box::new(|journal| {
                let prefix = journal.head().to_string();
                let rate = Rate {
                    prefix: Some(&prefix),
                    ..Rate::default()
                };
                let extent = DeckExtent::Part;
                journal
                    .record_rates("acme", NOON, &[rate], extent)
                    .map(drop)
            }),
        ),
        (
            "output/csv",
            Box::new(|journal| journal.acknowledge("csv", Stream::Calls, journal.head())),
        ),
        (
            "charges/spend",
            Box::new(|journal| {
                let cursor = journal.cursor("charges/spend", Stream::Calls)?.unwrap();
                let charges = NewCharges {
                    account: "acme",
                    cursor: "charges/spend",
                    calls: BatchSeq(cursor.batch.0 + 1),
                    observed_at: NOON,
                    span: None,
                    charges: charge(),
                };
                journal.append_charges(charges).map(drop)
            }),
        ),
        (
            "charges/spend",
            Box::new(|journal| journal.acknowledge("charges/spend", Stream::Calls, journal.head())),
        ),
        (
            "journal",
            Box::new(|journal| journal.store_snapshot(journal.head(), b"totals")),
        ),
        (
            "journal",
            Box::new(|journal| {
                let everything = RetentionPolicy {
                    max_bytes: Some(0),
                    drop_unacknowledged: true,
                    ..RetentionPolicy::default()
                };
                journal.retain(&everything, NOON).map(drop)
            }),
        ),
    ]
}

const ALL: [&str; 4] = ["account/acme", "charges/spend", "journal", "output/csv"];

/// What is stored, as far as writes change it.
fn stored(journal: &Journal) -> String {
    let batches: Vec<_> = all_batches(journal)
        .into_iter()
        .map(|batch| batch.meta)
        .collect();
    let snapshot = journal.latest_snapshot().unwrap();
    let cursors = journal.cursors().unwrap();
    let Ok(state) = journal.account_state("acme") else {
        panic!("an account can be read without a lease");
    };
    format!("{batches:?}\n{cursors:?}\n{snapshot:?}\n{state:?}")
}

#[track_caller]
fn assert_lost(result: Result<(), JournalError>, expected: &str) {
    match result {
        Err(error @ JournalError::LeaseLost { .. }) => {
            assert!(error.is_transient());
            assert!(
                error.to_string().contains(&format!("`{expected}`")),
                "{error}"
            );
        }
        other => panic!("{expected}: {other:?}"),
    }
}

fn ready_to_write(place: &Place) -> Journal {
    let one = instance(place, "one");
    for output in ["csv", "charges/spend"] {
        one.register_output(output, Stream::Calls, Start::Oldest)
            .unwrap();
    }
    let round = one.round(&names(&ALL)).unwrap();
    assert_eq!(round.held, ALL);
    assert_eq!(round.acquired, ALL);
    // So that each kind of write has something to write.
    for (lease, write) in writes().iter().take(3) {
        write(&one).unwrap_or_else(|error| panic!("{lease}: {error}"));
    }
    one.store_snapshot(one.head(), b"totals").unwrap();
    one
}

#[test]
fn who_holds_the_leases_writes() {
    let place = place();
    let one = ready_to_write(&place);
    for (lease, write) in writes() {
        let before = stored(&one);
        write(&one).unwrap_or_else(|error| panic!("{lease}: {error}"));
        assert_ne!(stored(&one), before, "{lease}");
    }
    assert!(place.reader().verify(|_| ()).unwrap().is_sound());
}

#[test]
fn a_paused_process_writes_nothing() {
    for is_taken in [false, true] {
        let place = place();
        let one = ready_to_write(&place);
        let two = instance(&place, "two");
        let mut open = one.ingest_session("acme", regular(NOON)).unwrap();
        advance(&place, 2 * LEASE);
        if is_taken {
            assert_eq!(two.round(&names(&ALL)).unwrap().acquired, ALL);
        }
        let before = stored(&two);
        for (lease, write) in writes() {
            assert_lost(write(&one), lease);
            assert_eq!(stored(&two), before, "{lease}");
        }
        // It says so with its next round, and gets nothing that is taken.
        let round = one.round(&names(&ALL)).unwrap();
        assert_eq!(round.lost, ALL);
        assert_eq!(round.acquired.is_empty(), is_taken);
        assert_eq!(round.instances.len(), 1 + usize::from(is_taken));
        if is_taken {
            let holder = |name: &str| (name.to_owned(), Some("two".to_owned()));
            assert_eq!(round.holders, ALL.map(holder));
            two.leave().unwrap();
            assert_eq!(one.round(&names(&ALL)).unwrap().acquired, ALL);
        }
        // A poll from before the pause may not know all calls.
        let mut page = open.page(NOON - DAY..NOON, NOON).unwrap();
        page.add(&call("late")).unwrap();
        assert_lost(page.commit(None).map(drop), "account/acme");
        for (lease, write) in writes() {
            write(&one).unwrap_or_else(|error| panic!("{lease}: {error}"));
        }
    }
}

/// A process that takes no part, such as a command, writes only what nobody holds.
#[test]
fn who_shares_no_work_writes_what_nobody_holds() {
    let place = place();
    let one = ready_to_write(&place);
    let alone = place.open();
    for (lease, write) in writes() {
        assert_lost(write(&alone), lease);
    }
    one.leave().unwrap();
    let outside = instance(&place, "outside");
    for (lease, write) in writes() {
        assert_lost(write(&outside), lease);
    }
    for (lease, write) in writes() {
        write(&alone).unwrap_or_else(|error| panic!("{lease}: {error}"));
    }
}

#[test]
fn instances_that_start_at_once_share_evenly() {
    let place = place();
    let wanted: Vec<String> = (0..20).map(|n| account_lease(&n.to_string())).collect();
    let start = Barrier::new(2);
    let held = thread::scope(|scope| {
        let started = ["one", "two"].map(|name| {
            let (place, start, wanted) = (&place, &start, &wanted);
            scope.spawn(move || {
                let journal = instance(place, name);
                start.wait();
                let mut held = Vec::new();
                for _ in 0..4 {
                    start.wait();
                    let round = journal.round(wanted).unwrap();
                    journal.release(&round.give_up).unwrap();
                    held = round.held;
                    held.retain(|name| !round.give_up.contains(name));
                }
                assert_eq!(journal.held_leases(), held);
                // Neither ends before the other is done: its leases stay.
                start.wait();
                held
            })
        });
        started.map(|held| held.join().unwrap())
    });
    assert_eq!(held.each_ref().map(Vec::len), [10, 10]);
    let all: BTreeSet<_> = held.iter().flatten().collect();
    assert_eq!(all.len(), 20);
}

#[test]
fn work_moves_at_once_when_an_instance_leaves() {
    let place = place();
    let (one, two) = (instance(&place, "one"), instance(&place, "two"));
    let wanted = names(&["account/a", "output/csv", "journal"]);
    assert_eq!(one.round(&wanted).unwrap().held.len(), 3);
    // Of one lease of each kind, each instance has one or two.
    assert!(two.round(&wanted).unwrap().held.is_empty());
    let round = one.round(&wanted).unwrap();
    assert_eq!(round.give_up, ["journal"]);
    let mut seen = 0;
    assert!(!two.wait_for_release(&mut seen, Duration::ZERO));
    // Until the thread that listens has connected, it hears nothing.
    while !two.wait_for_release(&mut seen, Duration::from_secs(1)) {
        one.release(&round.give_up).unwrap();
    }
    assert_eq!(two.round(&wanted).unwrap().acquired, ["journal"]);
    for instance in [&one, &two] {
        let round = instance.round(&wanted).unwrap();
        assert!(round.acquired.is_empty() && round.give_up.is_empty());
    }
    one.leave().unwrap();
    assert!(two.wait_for_release(&mut seen, Duration::from_mins(1)));
    let round = two.round(&wanted).unwrap();
    assert_eq!(round.acquired, ["account/a", "output/csv"]);
    assert_eq!(round.held.len(), 3);
    assert_eq!(round.instances, ["two"]);
    assert!(one.held_leases().is_empty());
}

/// An instance that has work of its own for an account gets it, and keeps it until that is done.
#[test]
fn a_claimed_lease_moves_and_stays() {
    let place = place();
    let (one, two) = (instance(&place, "one"), instance(&place, "two"));
    let wanted = names(&["account/a"]);
    assert_eq!(one.round(&wanted).unwrap().held, wanted);
    assert_eq!(two.round(&wanted).unwrap().held, names(&[]));
    assert!(two.claim("account/b").is_none());
    let claims = [
        two.claim("account/a").unwrap(),
        two.claim("account/a").unwrap(),
    ];
    assert_eq!(two.round(&wanted).unwrap().held, names(&[]));
    let round = one.round(&wanted).unwrap();
    assert_eq!(round.give_up, wanted);
    one.release(&round.give_up).unwrap();
    let [first, second] = claims;
    drop(first);
    // However often it is looked at, it is left to who claims it.
    for _ in 0..5 {
        assert_eq!(one.round(&wanted).unwrap().held, names(&[]));
    }
    assert_eq!(two.round(&wanted).unwrap().held, wanted);
    assert_eq!(one.round(&wanted).unwrap().held, names(&[]));
    drop(second);
    assert_eq!(two.round(&wanted).unwrap().held, wanted);
    // A claim ends with its instance.
    let _claim = two.claim("account/a").unwrap();
    two.round(&wanted).unwrap();
    two.leave().unwrap();
    assert_eq!(one.round(&wanted).unwrap().held, wanted);
}

#[test]
fn what_only_one_instance_wants_is_no_part_of_its_share() {
    let place = place();
    let (one, two) = (instance(&place, "one"), instance(&place, "two"));
    let both = ["account/a", "account/b"];
    let wanted = names(&["account/a", "account/b", "account/x", "account/y"]);
    two.round(&names(&both)).unwrap();
    let held = one.round(&wanted).unwrap().held;
    assert_eq!(held, ["account/x", "account/y"]);
    let round = two.round(&names(&both)).unwrap();
    two.release(&round.give_up).unwrap();
    assert_eq!(one.round(&wanted).unwrap().held.len(), 3);
    // What is no longer wanted is given up.
    let round = one.round(&names(&both)).unwrap();
    assert_eq!(round.give_up, ["account/x", "account/y"]);
}

/// The cursor of an output that only another instance has is not removed.
#[test]
fn an_output_that_another_instance_runs_keeps_its_cursor() {
    let place = place();
    let (one, two) = (instance(&place, "one"), instance(&place, "two"));
    let outputs = |names: &[&'static str]| -> Vec<_> {
        let output = |name: &&'static str| (*name, Stream::Calls, Start::Oldest);
        names.iter().map(output).collect()
    };
    one.set_outputs(&outputs(&["csv", "webhook"])).unwrap();
    one.round(&[output_lease("csv"), output_lease("webhook")])
        .unwrap();
    assert!(two.set_outputs(&outputs(&["csv"])).unwrap().is_empty());
    assert_eq!(two.cursors().unwrap().len(), 2);
    // Nor that of one that another instance wants.
    one.release(&[output_lease("webhook")]).unwrap();
    assert!(two.set_outputs(&outputs(&["csv"])).unwrap().is_empty());
    one.leave().unwrap();
    assert_eq!(two.set_outputs(&outputs(&["csv"])).unwrap().len(), 1);
}

/// The cursor of an output goes when no instance wants it any more, not before: the output goes on
/// at another one. Instances that are told at the same time do not leave it.
#[test]
fn a_cursor_goes_with_the_last_instance_that_wants_its_output() {
    let place = place();
    let (one, two) = (instance(&place, "one"), instance(&place, "two"));
    let csv = [("csv", Stream::Calls, Start::Oldest)];
    let charges = format!("{CHARGES_CURSOR}acme");
    let both = [csv[0], (charges.as_str(), Stream::Calls, Start::Oldest)];
    one.set_outputs(&both).unwrap();
    let wanted = [output_lease("csv"), output_lease(&charges)];
    one.round(&wanted).unwrap();
    two.round(&wanted).unwrap();
    // The holder is told first. The others may still want it, as far as it knows.
    assert!(one.set_outputs(&[]).unwrap().is_empty());
    one.round(&[]).unwrap();
    one.release(&wanted).unwrap();
    assert_eq!(two.round(&wanted).unwrap().held.len(), 2);
    assert_eq!(two.cursors().unwrap().len(), 2);
    assert!(two.acknowledge("csv", Stream::Calls, BatchSeq(1)).is_ok());
    // Neither knows yet that the other one is told, too.
    one.round(&wanted).unwrap();
    assert!(one.set_outputs(&csv).unwrap().is_empty());
    assert!(two.set_outputs(&csv).unwrap().is_empty());
    one.round(&wanted[..1]).unwrap();
    assert_eq!(two.cursors().unwrap().len(), 2);
    two.round(&wanted[..1]).unwrap();
    let left = two.cursors().unwrap();
    assert_eq!((left.len(), left[0].output.as_str()), (1, "csv"));
}

/// Another instance's retention deletes calls that this one has in memory.
#[test]
fn deleted_batches_are_noticed() {
    let place = place();
    let (one, two) = (instance(&place, "one"), instance(&place, "two"));
    one.round(&[account_lease("acme")]).unwrap();
    two.round(&names(&["journal"])).unwrap();
    let old = |id: &'static str| Call {
        start_time: Reading::Known(NOON - 3 * HOUR),
        ..call(id)
    };
    let page = |calls: &[Call<'_>]| {
        let mut poll = one.ingest_session("acme", regular(NOON)).unwrap();
        add_page(&mut poll, NOON, calls).0
    };
    assert_eq!(page(&[old("a"), call("b")]), [NEW, NEW]);
    two.store_snapshot(BatchSeq(1), b"totals").unwrap();
    let everything = RetentionPolicy {
        max_bytes: Some(0),
        ..RetentionPolicy::default()
    };
    assert_eq!(two.retain(&everything, NOON).unwrap().batches, 1);
    // A call as old as the deleted ones cannot be appended by what was in memory before.
    let mut poll = one.ingest_session("acme", regular(NOON)).unwrap();
    let mut page_before = poll.page(NOON - DAY..NOON, NOON).unwrap();
    page_before.add(&old("c")).unwrap();
    assert!(matches!(
        page_before.commit(None),
        Err(JournalError::Removed { .. })
    ));
    assert_eq!(page(&[old("c")]), [Classification::Forgotten]);
    // The calls of the deleted batch are known until a round says that it is deleted.
    assert!(matches!(page(&[call("b")])[..], [Classification::Known]));
    one.round(&[account_lease("acme")]).unwrap();
    assert_eq!(page(&[call("b")]), [Classification::Forgotten]);
}

/// Rows of leases and instances that are no longer used are removed.
#[test]
fn leases_that_nobody_wants_are_removed() {
    let place = place();
    let Place::Schema(journal) = &place else {
        panic!("a file has no leases");
    };
    let rows = |table: &str| -> Vec<(String, i64)> {
        let order = format!("SELECT * FROM {}.{table} ORDER BY name", journal.schema);
        let rows = admin().query(&order, &[]).unwrap();
        let epoch = |row: &postgres::Row| row.try_get("epoch").unwrap_or(0);
        rows.iter()
            .map(|row| (row.get("name"), epoch(row)))
            .collect()
    };
    let of = |table: &str| -> Vec<String> {
        let names = rows(table).into_iter().map(|(name, _)| name);
        names.collect()
    };
    let (one, two) = (instance(&place, "one"), instance(&place, "two"));
    let both = names(&["account/a", "output/old"]);
    two.round(&both).unwrap();
    let first = rows("leases")[1].1;
    two.leave().unwrap();
    let two = instance(&place, "two again");
    // Somebody wants it.
    two.round(&both).unwrap();
    one.round(&names(&["account/a"])).unwrap();
    assert_eq!(of("leases"), both);
    // It is still held, by one who may be suspended.
    advance(&place, ROUND);
    one.round(&names(&["account/a"])).unwrap();
    assert_eq!(of("leases"), both);
    for _ in 0..12 {
        advance(&place, LEASE);
        one.round(&names(&["account/a"])).unwrap();
    }
    assert_eq!(of("leases"), ["account/a"]);
    assert_eq!(of("instances"), ["one"]);
    // The epochs of before do not come again, so who had it then writes nothing.
    one.round(&both).unwrap();
    let (name, epoch) = rows("leases").remove(1);
    assert_eq!(name, "output/old");
    assert!(epoch > first + 12, "{first} {epoch}");
}

/// What an instance says of its work is read by the others in their next rounds, also after its row
/// was removed, and ends with it.
#[test]
fn what_an_instance_says_of_its_work_is_read_by_the_others() {
    let place = place();
    let (one, two) = (instance(&place, "one"), instance(&place, "two"));
    let wanted = [account_lease("acme")];
    let read = |journal: &Journal| journal.round(&wanted).unwrap().states;
    let said = |text: &str| vec![("one".to_owned(), text.as_bytes().to_vec())];
    one.round(&wanted).unwrap();
    assert_eq!(read(&two), said(""));
    for text in ["busy", "busy", "idle", "", "busy"] {
        one.tell(text.as_bytes().to_vec());
        one.round(&wanted).unwrap();
        assert_eq!(read(&two), said(text));
    }
    // While it is suspended, its state is not shown; then its row is removed.
    advance(&place, 2 * LEASE);
    assert_eq!(read(&two), []);
    advance(&place, 20 * LEASE);
    assert_eq!(read(&two), []);
    one.round(&wanted).unwrap();
    assert_eq!(read(&two), said("busy"));
    one.leave().unwrap();
    assert_eq!(read(&two), []);
}

#[test]
fn the_name_of_a_lease_says_what_it_is_for() {
    for (lease, work) in [
        (account_lease("a/b"), Work::Account("a/b")),
        (output_lease("csv"), Work::Output("csv")),
        (output_lease("charges/acme"), Work::Charges("acme")),
        (JOURNAL_LEASE.to_owned(), Work::Journal),
    ] {
        assert_eq!(Work::of(&lease), work);
    }
}
