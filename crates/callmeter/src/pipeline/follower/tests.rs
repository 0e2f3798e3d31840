//! Tests of counting what other instances append.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use callmeter_journal::{
    Hold, InstanceOptions, JOURNAL_LEASE, Journal, JournalError, Options, PollOptions, Purpose,
    RetentionPolicy, Start, account_lease, output_lease,
};
use callmeter_meter::{Api, FamilyId, Ledger, Limits};
use callmeter_plugin_host::Outputs;
use callmeter_records::{BatchSeq, Call, Reading, Stream};
use jiff::Timestamp;

use super::{Counting, Follower};
use crate::context::AppContext;
use crate::pipeline::restore;
use crate::pipeline::test_server::Schema;

const NOON: i64 = 1_786_017_600_000_000;
const HOUR: i64 = 3_600_000_000;

fn counting(journal: &Journal) -> Counting {
    let outputs = Outputs::new(Arc::new(journal.clone())).unwrap();
    let app = AppContext::of(journal.clone(), Arc::new(outputs));
    Counting::new(app, Limits::default())
}

/// Appends a batch of a call, as a poll does.
fn append(app: &AppContext, account: &str, id: &str) {
    append_call(app, account, id, NOON - HOUR);
}

fn append_call(app: &AppContext, account: &str, id: &str, start: i64) {
    let options = PollOptions {
        purpose: Purpose::Regular,
        range: NOON - 24 * HOUR..NOON,
        settle: Duration::ZERO,
    };
    let mut poll = app.journal.ingest_session(account, options).unwrap();
    let mut page = poll.page(NOON - 24 * HOUR..NOON, NOON).unwrap();
    let call = Call {
        id: Some(id),
        client_id: Some("c1"),
        center_id: Some("z"),
        call_type: Some("Incoming"),
        start_time: Reading::Known(start),
        duration_ms: Reading::Known(61_000),
        talk_ms: Reading::Known(50_000),
        ..Call::default()
    };
    page.add(&call).unwrap();
    let committed = page.commit(None).unwrap();
    app.count(Stream::Calls, &committed.batches).unwrap();
}

fn totals(app: &AppContext) -> Vec<u8> {
    app.meter.inspect(Ledger::encode)
}

/// Three instances append to accounts of their own, and count what all append. At the same batch
/// they have the same totals, which are those of a start.
#[test]
fn instances_have_the_same_totals() {
    let schema = Schema::new("follow");
    let instances = ["a", "b", "c"].map(|account| (account, counting(&schema.open())));
    let mut counted = [BatchSeq::START; 3];
    for round in 0..12 {
        for (index, (account, counting)) in instances.iter().enumerate() {
            append(&counting.app, account, &format!("call {round}"));
            // Each counts at its own times.
            if (round + index) % 3 == 0 {
                counting.catch_up(&mut counted[index]).unwrap();
            }
        }
    }
    for ((_, counting), counted) in instances.iter().zip(&mut counted) {
        counting.catch_up(counted).unwrap();
        assert_eq!(*counted, BatchSeq(36));
    }
    let all = instances
        .each_ref()
        .map(|(_, counting)| totals(&counting.app));
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
    let restored = restore::ledger(&schema.open(), Limits::default()).unwrap();
    assert_eq!(all[0], restored.encode());
}

/// A running instance counts what another one appends, without being told to.
#[tokio::test]
async fn an_instance_follows_another_one() {
    let (meter, followed) = tokio::task::spawn_blocking(|| {
        let schema = Schema::new("live");
        let (one, two) = (counting(&schema.open()), counting(&schema.open()));
        let follower = Follower::start(&two.app, two.limits).unwrap();
        append(&one.app, "acme", "a");
        let meter = Arc::clone(&two.app.meter);
        while meter.inspect(Ledger::applied_through) < 1 {
            std::thread::sleep(Duration::from_millis(10));
        }
        // What is appended is counted by the follower alone.
        assert_eq!(one.app.meter.inspect(Ledger::applied_through), 0);
        ((schema, meter), follower)
    })
    .await
    .unwrap();
    followed.stop().await;
    drop(tokio::task::spawn_blocking(move || drop(meter)).await);
}

/// Retention of another instance has deleted batches that this one has not counted.
#[test]
fn stored_totals_replace_what_was_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path().join("journal.db"), &Options::default()).unwrap();
    let [one, late, later] = [(); 3].map(|()| counting(&journal));
    append(&one.app, "acme", "a");
    late.app
        .meter
        .update(|ledger| ledger.configure("acme", Api::HostedSuite));
    let mut counted = [BatchSeq::START; 2];
    late.catch_up(&mut counted[0]).unwrap();
    later.catch_up(&mut counted[1]).unwrap();
    for id in ["b", "c", "d"] {
        append(&one.app, "acme", id);
    }
    journal
        .store_snapshot(journal.head(), &totals(&one.app))
        .unwrap();
    let everything = RetentionPolicy {
        max_bytes: Some(0),
        ..RetentionPolicy::default()
    };
    assert_eq!(journal.retain(&everything, NOON).unwrap().batches, 4);
    // Nothing is left.
    late.catch_up(&mut counted[0]).unwrap();
    assert_eq!(counted[0], BatchSeq(4));
    assert_eq!(totals(&late.app), totals(&one.app));
    append_call(&one.app, "acme", "e", NOON - HOUR / 2);
    late.catch_up(&mut counted[0]).unwrap();
    // There is a gap.
    later.catch_up(&mut counted[1]).unwrap();
    assert_eq!(counted, [BatchSeq(5); 2]);
    assert_eq!(totals(&late.app), totals(&one.app));
    assert_eq!(totals(&later.app), totals(&one.app));
    // The account is still shown.
    let snapshot = late.app.meter.update(Ledger::snapshot);
    let labels = r#"account="acme",client_id="c1",center_id="z",direction="incoming""#;
    assert_eq!(snapshot.find(FamilyId::Calls, labels), Some(5));
}

/// An instance that was suspended while another one's retention deleted what it had not counted
/// has the same totals afterwards. What an output lacks stays until it has it.
#[test]
fn a_suspended_instance_agrees_after_the_retention_of_another_one() {
    let schema = Schema::new("suspended");
    let [one, two] = ["one", "two"].map(|name| {
        let counting = counting(&schema.open());
        counting.app.journal.join(InstanceOptions::new(name));
        counting
    });
    let [first, second] = [&one, &two].map(|counting| &counting.app.journal);
    let wanted = [
        account_lease("acme"),
        JOURNAL_LEASE.to_owned(),
        output_lease("crm"),
    ];
    assert_eq!(second.round(&wanted).unwrap().held, wanted);
    let oldest = Start::Oldest;
    second
        .register_output("crm", Stream::Calls, oldest)
        .unwrap();
    let mut counted = [BatchSeq::START; 2];
    append(&two.app, "acme", "a");
    append(&two.app, "acme", "b");
    two.catch_up(&mut counted[1]).unwrap();
    append(&two.app, "acme", "c");
    let crm = |journal: &Journal, seq| journal.acknowledge("crm", Stream::Calls, BatchSeq(seq));
    crm(second, 1).unwrap();

    // It is suspended. The other one goes on with the work.
    schema.end_leases();
    assert_eq!(first.round(&wanted).unwrap().acquired, wanted);
    append(&one.app, "acme", "d");
    one.catch_up(&mut counted[0]).unwrap();
    first
        .store_snapshot(first.head(), &totals(&one.app))
        .unwrap();
    let everything = RetentionPolicy {
        max_bytes: Some(0),
        ..RetentionPolicy::default()
    };
    let report = first.retain(&everything, NOON).unwrap();
    let hold = Hold::Output {
        output: "crm".to_owned(),
        stream: Stream::Calls,
    };
    assert_eq!((report.batches, report.held_by), (1, Some(hold)));
    let next = first.next_batch(Stream::Calls, BatchSeq(1)).unwrap();
    assert_eq!(next.unwrap().meta.seq, BatchSeq(2));
    crm(first, 4).unwrap();
    assert_eq!(first.retain(&everything, NOON).unwrap().batches, 3);
    append_call(&one.app, "acme", "e", NOON - HOUR / 2);
    one.catch_up(&mut counted[0]).unwrap();

    // It wakes up: it writes nothing, and counts the same.
    let lost = second.store_snapshot(second.head(), &totals(&two.app));
    let lost = lost.unwrap_err();
    assert!(matches!(lost, JournalError::LeaseLost { .. }), "{lost}");
    let lost = crm(second, 5).unwrap_err();
    assert!(matches!(lost, JournalError::LeaseLost { .. }), "{lost}");
    two.catch_up(&mut counted[1]).unwrap();
    assert_eq!(counted, [BatchSeq(5); 2]);
    assert_eq!(totals(&one.app), totals(&two.app));
    let round = second.round(&wanted).unwrap();
    assert_eq!((round.lost, round.held), (wanted.to_vec(), Vec::new()));
    let restored = restore::ledger(&schema.open(), Limits::default()).unwrap();
    assert_eq!(restored.encode(), totals(&two.app));
}

/// Without the server the totals stay, and the status says why; the program is not ready when it
/// cannot have counted everything for a while.
#[test]
fn what_is_not_followed_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path().join("journal.db"), &Options::default()).unwrap();
    let counting = counting(&journal);
    let status = &counting.app.status;
    status.share("one".to_owned());
    status.set_ready(true);
    let report = |failure| counting.report(BatchSeq::START, failure);
    report(Some("the server cannot be reached"));
    let shown = status.status();
    assert!(shown.ready);
    assert_eq!(
        shown.journal.not_followed.as_deref(),
        Some("the server cannot be reached")
    );
    counting.complete.set(long_ago());
    report(Some("the server cannot be reached"));
    assert!(!status.is_ready() && !status.status().ready);
    counting.complete.set(Instant::now());
    report(None);
    assert!(status.is_ready());
    assert_eq!(status.status().journal.not_followed, None);
}

/// Longer ago than an instance may be behind.
fn long_ago() -> Instant {
    Instant::now().checked_sub(Duration::from_secs(31)).unwrap()
}

/// An instance that has much to count says so, and is not ready until it has counted all of it.
#[test]
fn an_instance_that_is_far_behind_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path().join("journal.db"), &Options::default()).unwrap();
    let [one, late] = [(); 2].map(|()| counting(&journal));
    let status = &late.app.status;
    status.share("late".to_owned());
    status.set_ready(true);
    for id in ["a", "b", "c"] {
        append(&one.app, "acme", id);
    }
    late.complete.set(long_ago());
    late.reported.set(long_ago());
    let mut counted = BatchSeq::START;
    // It reports in the middle, where it is stopped.
    late.stopped.store(true, Ordering::Relaxed);
    late.catch_up(&mut counted).unwrap();
    let followed = || status.sharing().unwrap().followed;
    assert_eq!((followed().lag_batches, followed().complete_at), (2, None));
    assert!(!status.is_ready());
    late.stopped.store(false, Ordering::Relaxed);
    late.catch_up(&mut counted).unwrap();
    late.complete.set(Instant::now());
    late.followed.set(Some(Timestamp::UNIX_EPOCH));
    late.report(counted, None);
    assert_eq!(
        (followed().lag_batches, followed().complete_at),
        (0, Some(Timestamp::UNIX_EPOCH))
    );
    assert!(status.is_ready());
}
