//! Nothing is deleted that is still needed.

use std::time::Duration;

use callmeter_journal::{
    BatchSeq, Classification, DeckExtent, Hold, Journal, PollOptions, PostgresJournal, Purpose,
    RetentionPolicy, Start,
};
use callmeter_records::{Billing, Call, Rate, Reading, Stream};

use crate::server::OwnServer;
use crate::support::{
    DAY, HOUR, NEW, NOON, Place, all_batches, call, on_both_engines, poll_page, regular,
};

const DAYS: i64 = 20;

/// A call a day for twenty days, each read an hour later.
fn twenty_days(journal: &Journal) {
    for day in 1..=DAYS {
        let id = format!("day-{day}");
        let start = Reading::Known(NOON + day * DAY);
        poll_page(
            journal,
            NOON + day * DAY + HOUR,
            &[Call {
                start_time: start,
                ..call(&id)
            }],
        );
    }
}

fn days(days: u64) -> RetentionPolicy {
    RetentionPolicy {
        keep: Some(Duration::from_secs(days * 86_400)),
        accounts: vec!["acme".to_owned()],
        ..RetentionPolicy::default()
    }
}

const END: i64 = NOON + DAYS * DAY + 2 * HOUR;

fn nothing_is_dropped_that_no_snapshot_counts() {
    let place = Place::new();
    let journal = place.open();
    twenty_days(&journal);
    let report = journal.retain(&days(5), END).unwrap();
    assert_eq!((report.batches, report.held_by), (0, Some(Hold::Snapshot)));
    journal.store_snapshot(BatchSeq(3), b"totals").unwrap();
    assert_eq!(journal.retain(&days(5), END).unwrap().batches, 3);
    journal
        .store_snapshot(BatchSeq(20), b"more totals")
        .unwrap();
    let report = journal.retain(&days(5), END).unwrap();
    assert_eq!((report.batches, report.held_by), (12, None));
    assert_eq!(all_batches(&journal).len(), 5);
    assert_eq!(
        journal.latest_snapshot().unwrap().unwrap(),
        (BatchSeq(20), b"more totals".to_vec())
    );
    assert!(journal.stats().unwrap().oldest == Some(BatchSeq(16)));
}

fn an_output_is_waited_for_unless_told_otherwise() {
    let place = Place::new();
    let journal = place.open();
    journal
        .register_output("crm", Stream::Calls, Start::Oldest)
        .unwrap();
    journal
        .register_output("other", Stream::Rates, Start::Oldest)
        .unwrap();
    twenty_days(&journal);
    journal.store_snapshot(BatchSeq(20), b"").unwrap();
    journal
        .acknowledge("crm", Stream::Calls, BatchSeq(4))
        .unwrap();
    let report = journal.retain(&days(5), END).unwrap();
    let hold = Hold::Output {
        output: "crm".to_owned(),
        stream: Stream::Calls,
    };
    assert_eq!((report.batches, report.held_by), (4, Some(hold)));
    let report = journal
        .retain(
            &RetentionPolicy {
                drop_unacknowledged: true,
                ..days(5)
            },
            END,
        )
        .unwrap();
    assert_eq!((report.batches, report.records), (11, 11));
    assert_eq!(report.lost, [("crm".to_owned(), Stream::Calls, 11)]);
    let backlog = journal.backlog("crm", Stream::Calls).unwrap();
    assert_eq!((backlog.records, backlog.lost), (5, 11));
    assert_eq!(journal.backlog("other", Stream::Rates).unwrap().lost, 0);
    assert_eq!(
        journal
            .next_batch(Stream::Calls, BatchSeq(15))
            .unwrap()
            .unwrap()
            .meta
            .seq,
        BatchSeq(16)
    );
}

fn the_lookback_is_kept_whatever_the_limits() {
    let place = Place::new();
    let journal = place.open();
    twenty_days(&journal);
    journal.store_snapshot(BatchSeq(20), b"").unwrap();
    let policy = RetentionPolicy {
        max_bytes: Some(1),
        ..days(5)
    };
    let report = journal.retain(&policy, END).unwrap();
    assert_eq!(
        report.held_by,
        Some(Hold::Lookback {
            account: "acme".to_owned()
        })
    );
    // The last poll looked back a day from day 20, 13:00; one more day is kept.
    assert_eq!(
        all_batches(&journal)
            .iter()
            .map(|batch| batch.meta.seq.0)
            .collect::<Vec<_>>(),
        [18, 19, 20]
    );
    drop(journal);
    let journal = place.open();
    let start = Reading::Known(NOON + 20 * DAY);
    let known = Call {
        start_time: start,
        ..call("day-20")
    };
    assert_eq!(
        poll_page(&journal, END, &[known]).0,
        [Classification::Known]
    );
    // Numbering continues.
    let (_, committed) = poll_page(
        &journal,
        END,
        &[Call {
            start_time: start,
            ..call("new")
        }],
    );
    assert_eq!(
        (
            committed.batches[0].meta.seq,
            committed.batches[0].meta.first_sequence
        ),
        (BatchSeq(21), 21)
    );
    // An account that is no longer configured keeps nothing.
    let report = journal
        .retain(
            &RetentionPolicy {
                accounts: vec![],
                max_bytes: Some(1),
                ..policy
            },
            END,
        )
        .unwrap();
    assert_eq!((report.batches, report.held_by), (3, Some(Hold::Snapshot)));
}

fn what_was_forgotten_is_not_counted_twice() {
    let place = Place::new();
    let journal = place.open();
    twenty_days(&journal);
    journal.store_snapshot(BatchSeq(20), b"").unwrap();
    assert_eq!(journal.retain(&days(10), END).unwrap().batches, 10);
    let range = NOON..END;
    let options = PollOptions {
        purpose: Purpose::Backfill,
        range: range.clone(),
        settle: Duration::ZERO,
    };
    let mut poll = journal.ingest_session("acme", options).unwrap();
    let mut page = poll.page(range, END).unwrap();
    let mut classify = |day: i64, id: &str| {
        page.add(&Call {
            start_time: Reading::Known(NOON + day * DAY),
            ..call(id)
        })
        .unwrap()
    };
    assert_eq!(classify(10, "day-10"), Classification::Forgotten);
    assert_eq!(classify(11, "day-11"), Classification::Known);
    assert_eq!(classify(11, "day-11-new"), NEW);
}

#[test]
fn a_journal_gives_room_back() {
    let place = Place::new();
    let journal = place.open();
    let ids: Vec<String> = (0..5_000).map(|number| format!("call-{number}")).collect();
    for (day, ids) in (1..).zip(ids.chunks(250)) {
        let start = Reading::Known(NOON + day * DAY);
        let calls: Vec<_> = ids
            .iter()
            .map(|id| Call {
                start_time: start,
                notes: Some(id),
                ..call(id)
            })
            .collect();
        poll_page(&journal, NOON + day * DAY + HOUR, &calls);
    }
    journal.store_snapshot(journal.head(), b"").unwrap();
    journal.checkpoint().unwrap();
    let full = journal.stats().unwrap().bytes;
    let limit = full / 2;
    let report = journal
        .retain(
            &RetentionPolicy {
                keep: None,
                max_bytes: Some(limit),
                ..days(0)
            },
            END,
        )
        .unwrap();
    assert!(
        report.bytes <= limit && report.bytes > limit / 2,
        "{report:?} {limit}"
    );
    assert_eq!(report.held_by, None);
    journal.checkpoint().unwrap();
    let file = std::fs::metadata(place.path()).unwrap().len();
    assert!(
        file <= limit + 65_536,
        "{file} bytes on disk, {limit} allowed"
    );
    assert!(place.reader().verify(|_| ()).unwrap().is_sound());
}

fn retention_removes_ids() {
    let place = Place::new();
    let journal = place.open();
    twenty_days(&journal);
    let at = |id, start: i64| Call {
        start_time: Reading::Known(start),
        ..call(id)
    };
    let day_20 = NOON + 20 * DAY;
    // Known from the stored keys, then in memory.
    let (classes, _) = poll_page(&journal, END, &[at("day-2", day_20), at("day-9", day_20)]);
    assert_eq!(classes, [Classification::Revised; 2]);
    assert_eq!(journal.old_ids("acme").unwrap().0, 17);
    journal.store_snapshot(journal.head(), b"").unwrap();
    assert_eq!(journal.retain(&days(10), END).unwrap().batches, 10);
    let page = [
        at("day-3", day_20),
        at("day-2", day_20),
        at("day-15", day_20),
    ];
    let (classes, _) = poll_page(&journal, END, &page);
    assert_eq!(
        classes,
        [NEW, Classification::Known, Classification::Revised]
    );
    // The filter has no deleted ids.
    assert!(journal.old_ids("acme").unwrap().0 <= 10);
}

fn nothing_is_deleted_on_a_clock_that_jumped() {
    let place = Place::new();
    let journal = place.open();
    twenty_days(&journal);
    journal.store_snapshot(journal.head(), b"").unwrap();
    let policy = RetentionPolicy {
        accounts: vec![],
        ..days(30)
    };
    let retain = |journal: &Journal, now| {
        let report = journal.retain(&policy, now).unwrap();
        (report.batches, report.held_by)
    };
    let ahead = END + 400 * DAY;
    // The first time, the clock of the last batch is compared.
    assert_eq!(retain(&journal, ahead), (0, Some(Hold::Clock)));
    drop(journal);
    let journal = place.open();
    assert_eq!(retain(&journal, ahead + HOUR), (0, Some(Hold::Clock)));
    assert_eq!(retain(&journal, END), (0, None));
    assert_eq!(retain(&journal, ahead), (0, Some(Hold::Clock)));
    assert_eq!(retain(&journal, ahead - 800 * DAY), (0, Some(Hold::Clock)));
    assert_eq!(retain(&journal, END), (0, None));
    let known = Call {
        start_time: Reading::Known(NOON + DAY),
        ..call("day-1")
    };
    assert_eq!(
        poll_page(&journal, NOON + DAY + HOUR, &[known]).0,
        [Classification::Known]
    );
    // A process that did not run for a long time: the clock keeps running.
    assert_eq!(retain(&journal, ahead), (0, Some(Hold::Clock)));
    assert_eq!(retain(&journal, ahead + 23 * HOUR), (0, Some(Hold::Clock)));
    assert_eq!(retain(&journal, ahead + DAY), (20, None));
    let verified = place.reader().verify(|_| ()).unwrap();
    assert!(verified.is_sound(), "{verified:?}");
}

/// An account that a reload removes keeps nothing. If it comes back, its deleted calls are not
/// counted again, and later ones are.
fn an_account_that_comes_back_counts_no_deleted_call_again() {
    let place = Place::new();
    let journal = place.open();
    twenty_days(&journal);
    journal.store_snapshot(journal.head(), b"").unwrap();
    let policy = RetentionPolicy {
        accounts: vec![],
        max_bytes: Some(1),
        ..days(30)
    };
    assert_eq!(journal.retain(&policy, END).unwrap().batches, 20);
    let at = |id, start: i64| Call {
        start_time: Reading::Known(start),
        ..call(id)
    };
    let day_20 = NOON + 20 * DAY;
    let edited = Call {
        talk_ms: Reading::Known(7),
        ..at("day-20", day_20)
    };
    let page = [at("day-20", day_20), edited, at("later", day_20 + 1)];
    let forgotten = Classification::Forgotten;
    for expected in [
        [forgotten, forgotten, NEW],
        [forgotten, forgotten, Classification::Known],
    ] {
        assert_eq!(poll_page(&journal, END, &page).0, expected);
    }
}

/// The disk is full, for example: what was deleted before stays deleted, and must not stay known.
#[test]
fn retention_that_fails_halfway_leaves_no_deleted_call_in_memory() {
    let place = Place::new();
    let journal = place.open();
    // More batches than one transaction deletes.
    let ids: Vec<String> = (0..300).map(|number| format!("call-{number}")).collect();
    for (now, id) in (NOON..).zip(&ids) {
        poll_page(&journal, now, &[call(id)]);
    }
    journal.store_snapshot(journal.head(), b"").unwrap();
    let conn = rusqlite::Connection::open(place.path()).unwrap();
    conn.execute_batch(
        "CREATE TRIGGER fault BEFORE DELETE ON batches WHEN old.seq = 290
         BEGIN SELECT raise(ABORT, 'fault'); END",
    )
    .unwrap();
    let policy = RetentionPolicy {
        accounts: vec![],
        max_bytes: Some(1),
        ..days(30)
    };
    let retained = journal.retain(&policy, NOON + HOUR);
    assert!(retained.is_err(), "{retained:?}");
    assert_eq!(all_batches(&journal)[0].meta.seq, BatchSeq(257));
    conn.execute_batch("DROP TRIGGER fault").unwrap();
    // The account is configured again, and its calls were edited.
    let edited = |id| Call {
        talk_ms: Reading::Known(7),
        ..call(id)
    };
    let page = [edited("call-3"), edited("call-280")];
    let (classes, _) = poll_page(&journal, NOON + HOUR, &page);
    assert_eq!(
        classes,
        [Classification::Forgotten, Classification::Revised]
    );
}

fn batches_that_were_read_while_the_clock_was_ahead_keep_no_others() {
    let place = Place::new();
    let journal = place.open();
    let ahead = END + 2_000 * DAY;
    let billing = Billing::default();
    journal.record_billing("pbx", ahead, &billing).unwrap();
    // A call of the right day, read by the wrong clock.
    let early = Call {
        start_time: Reading::Known(NOON - DAY),
        ..call("early")
    };
    let mut poll = journal.ingest_session("acme", regular(NOON)).unwrap();
    let mut page = poll.page(NOON - 2 * DAY..NOON, ahead).unwrap();
    assert_eq!(page.add(&early).unwrap(), NEW);
    page.commit(None).unwrap();
    twenty_days(&journal);
    journal.store_snapshot(journal.head(), b"").unwrap();
    let policy = RetentionPolicy {
        accounts: vec!["acme".to_owned(), "pbx".to_owned()],
        ..days(5)
    };
    assert_eq!(
        journal.retain(&policy, END).unwrap().held_by,
        Some(Hold::Clock)
    );
    let report = journal.retain(&policy, END + DAY).unwrap();
    assert_eq!((report.batches, report.held_by), (18, None));
    // By size, only what polls still need is kept.
    let policy = RetentionPolicy {
        max_bytes: Some(1),
        ..policy
    };
    let report = journal.retain(&policy, END + DAY).unwrap();
    let account = "acme".to_owned();
    assert_eq!(report.held_by, Some(Hold::Lookback { account }));
    assert_eq!(all_batches(&journal)[0].meta.seq, BatchSeq(20));
}

on_both_engines! {
    nothing_is_dropped_that_no_snapshot_counts
    an_output_is_waited_for_unless_told_otherwise
    the_lookback_is_kept_whatever_the_limits
    what_was_forgotten_is_not_counted_twice
    retention_removes_ids
    nothing_is_deleted_on_a_clock_that_jumped
    an_account_that_comes_back_counts_no_deleted_call_again
    batches_that_were_read_while_the_clock_was_ahead_keep_no_others
}

/// Retention reads what it deletes, not the whole journal.
#[test]
fn retention_on_a_server_costs_what_it_deletes() {
    const BATCHES: i64 = 500;
    let server = OwnServer::start();
    let settings = PostgresJournal::new(server.url());
    let journal = Journal::connect(&settings).unwrap();
    for number in 0..BATCHES {
        let prefix = number.to_string();
        let rate = Rate {
            prefix: Some(&prefix),
            ..Rate::default()
        };
        let at = NOON + number * HOUR;
        let part = DeckExtent::Part;
        journal.record_rates("hq", at, &[rate], part).unwrap();
    }
    journal.store_snapshot(journal.head(), b"").unwrap();
    drop(journal);
    let mut client = postgres::Client::connect(&server.url(), postgres::NoTls).unwrap();
    client.batch_execute("ANALYZE callmeter.batches").unwrap();
    // How many batches were read, when the server has heard of it from all connections.
    let mut read = || -> i64 {
        let others = "SELECT count(*) FROM pg_stat_activity
                      WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        while client.query_one(others, &[]).unwrap().get::<_, i64>(0) > 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
        let read = "SELECT (seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint
                    FROM pg_stat_user_tables WHERE relname = 'batches'";
        client.query_one(read, &[]).unwrap().get(0)
    };
    let before = read();
    drop(Journal::connect(&settings).unwrap());
    let opened = read();
    let journal = Journal::connect(&settings).unwrap();
    let policy = RetentionPolicy {
        max_bytes: Some(1 << 40),
        ..days(20)
    };
    let report = journal.retain(&policy, NOON + BATCHES * HOUR).unwrap();
    assert_eq!((report.batches, report.held_by), (20, None));
    drop(journal);
    let cost = (read() - opened) - (opened - before);
    assert!(cost < 400, "{cost} batches were read to delete 20");
}
