//! Each call counts once, however it arrives.

use std::time::Duration;

use callmeter_journal::{AccountState, Classification, CoverageChange, PollOptions, Purpose};
use callmeter_records::{Call, Reading, id_hash};

use crate::support::{
    DAY, HOUR, MINUTE, NEW, NOON, Place, SECOND, add_page, all_batches, call, call_lines,
    on_both_engines, poll, poll_page,
};

fn a_page_becomes_a_batch() {
    let place = Place::new();
    let journal = place.open();
    let (classifications, committed) = poll_page(&journal, NOON, &[call("a"), call("b")]);
    assert_eq!(classifications, [NEW, NEW]);
    assert_eq!(committed.counts.new, 2);
    let [batch] = committed.batches.as_slice() else {
        panic!("one batch")
    };
    assert_eq!(
        (batch.meta.seq.0, batch.meta.rows, batch.meta.first_sequence),
        (1, 2, 1)
    );
    assert_eq!(batch.meta.span, Some((NOON - HOUR, NOON - HOUR)));
    let stored = all_batches(&journal);
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].meta, batch.meta);
    assert_eq!(stored[0].records, batch.records);
}

fn known_calls_are_not_journaled_again_also_after_a_restart() {
    let place = Place::new();
    let journal = place.open();
    poll_page(&journal, NOON, &[call("a")]);
    assert_eq!(
        poll_page(&journal, NOON + MINUTE, &[call("a"), call("b")]).0,
        [Classification::Known, NEW]
    );
    drop(journal);
    let journal = place.open();
    let (classifications, committed) =
        poll_page(&journal, NOON + 2 * MINUTE, &[call("a"), call("b")]);
    assert_eq!(
        classifications,
        [Classification::Known, Classification::Known]
    );
    assert!(committed.batches.is_empty());
    assert_eq!(call_lines(&journal).len(), 2);
}

fn an_edit_is_a_revision_that_says_what_was_before() {
    let place = Place::new();
    let journal = place.open();
    poll_page(&journal, NOON, &[call("a"), call("b")]);
    let lower = Call {
        talk_ms: Reading::Known(20_000),
        ..call("a")
    };
    assert_eq!(
        poll_page(&journal, NOON, &[lower]).0,
        [Classification::Revised]
    );
    drop(journal);
    let journal = place.open();
    let unreadable = Call {
        talk_ms: Reading::Unreadable("NaN"),
        ..call("a")
    };
    assert_eq!(
        poll_page(&journal, NOON, &[unreadable, call("b")]).0,
        [Classification::Revised, Classification::Known]
    );
    assert_eq!(
        poll_page(&journal, NOON, &[unreadable]).0,
        [Classification::Known]
    );
    assert_eq!(
        poll_page(&journal, NOON, &[call("a")]).0,
        [Classification::Revised]
    );
    insta::assert_snapshot!(call_lines(&journal).join("\n"), @r"
    1 a r0 New talk Some(50000)
    2 b r0 New talk Some(50000)
    3 a r1 Revised talk Some(20000) was Some(50000)
    4 a r2 Revised talk None was Some(20000)
    5 a r3 Revised talk Some(50000) was Some(20000)
    ");
}

fn the_first_row_of_an_id_in_a_poll_counts() {
    let place = Place::new();
    let journal = place.open();
    let other = Call {
        talk_ms: Reading::Known(1),
        ..call("a")
    };
    let mut first = poll(&journal, NOON);
    assert_eq!(
        add_page(&mut first, NOON, &[call("a"), other, call("b")]).0,
        [NEW, Classification::Repeated, NEW]
    );
    assert_eq!(
        add_page(&mut first, NOON, &[other, call("b")]).0,
        [Classification::Repeated; 2]
    );
    // A call that the API lists twice, on one page or on two, does not change with each poll.
    let (classifications, _) = poll_page(&journal, NOON, &[call("a"), other]);
    assert_eq!(
        classifications,
        [Classification::Known, Classification::Repeated]
    );
    let mut third = poll(&journal, NOON);
    let mut classifications = Vec::new();
    for page in [[call("b"), call("a")], [other, call("b")]] {
        classifications.extend(add_page(&mut third, NOON, &page).0);
    }
    let (known, repeated) = (Classification::Known, Classification::Repeated);
    assert_eq!(classifications, [known, known, repeated, repeated]);
}

fn a_call_that_was_put_off_is_put_off_once_a_poll() {
    let place = Place::new();
    let journal = place.open();
    let young = Call {
        start_time: Reading::Known(NOON - 70 * SECOND),
        ..call("a")
    };
    let edited = Call {
        talk_ms: Reading::Known(1),
        ..young
    };
    let mut poll = poll(&journal, NOON);
    assert_eq!(
        add_page(&mut poll, NOON, &[young]).0,
        [Classification::Unsettled]
    );
    assert_eq!(
        add_page(&mut poll, NOON, &[edited, young]).0,
        [Classification::Repeated; 2]
    );
}

/// Overlapping polls of an account forget what the other one has seen, but nothing is counted
/// twice.
fn polls_that_cross_count_each_call_once() {
    let place = Place::new();
    let journal = place.open();
    let mut first = poll(&journal, NOON);
    assert_eq!(add_page(&mut first, NOON, &[call("a")]).0, [NEW]);
    let mut second = poll(&journal, NOON + DAY);
    assert_eq!(
        add_page(&mut second, NOON + DAY, &[call("a")]).0,
        [Classification::OutsideWindow]
    );
    assert_eq!(
        add_page(&mut first, NOON, &[call("a"), call("b")]).0,
        [Classification::Known, NEW]
    );
    assert_eq!(call_lines(&journal).len(), 2);
}

fn a_page_that_is_dropped_never_was() {
    let place = Place::new();
    let journal = place.open();
    let mut poll = poll(&journal, NOON);
    let mut page = poll.page(NOON - DAY..NOON, NOON).unwrap();
    assert_eq!(page.add(&call("a")).unwrap(), NEW);
    drop(page);
    assert_eq!(add_page(&mut poll, NOON, &[call("a")]).0, [NEW]);
    assert_eq!(call_lines(&journal).len(), 1);
}

fn what_has_not_settled_comes_later() {
    let place = Place::new();
    let journal = place.open();
    let ends = |ago: i64| Call {
        start_time: Reading::Known(NOON - ago - 61 * SECOND),
        ..call("a")
    };
    assert_eq!(
        poll_page(&journal, NOON, &[ends(119 * SECOND)]).0,
        [Classification::Unsettled]
    );
    assert_eq!(poll_page(&journal, NOON, &[ends(120 * SECOND)]).0, [NEW]);
    // A known call that is being changed settles too, but is still known.
    assert_eq!(
        poll_page(&journal, NOON, &[ends(60 * SECOND)]).0,
        [Classification::Unsettled]
    );
    assert_eq!(
        poll_page(&journal, NOON, &[ends(120 * SECOND)]).0,
        [Classification::Known]
    );
    // Without a duration, its parts show when it ended.
    let parts = Call {
        start_time: Reading::Known(NOON - 150 * SECOND),
        duration_ms: Reading::Missing,
        ..call("b")
    };
    assert_eq!(
        poll_page(&journal, NOON, &[parts]).0,
        [Classification::Unsettled]
    );
}

fn late_is_what_the_last_complete_poll_should_have_had() {
    let place = Place::new();
    let journal = place.open();
    let poll_state = AccountState {
        watermark: Some(NOON),
        page_base: Some(1),
    };
    assert_eq!(poll_page(&journal, NOON, &[call("a")]).0, [NEW]);
    journal
        .set_account_state("acme", poll_state, CoverageChange::default())
        .unwrap();
    let settled_after = Call {
        start_time: Reading::Known(NOON - 2 * MINUTE),
        ..call("b")
    };
    let late = Classification::New {
        late: true,
        unnamed: false,
    };
    assert_eq!(
        poll_page(&journal, NOON + HOUR, &[call("c"), settled_after]).0,
        [late, NEW]
    );
    drop(journal);
    assert_eq!(place.open().account_state("acme").unwrap(), poll_state);
}

fn rows_outside_the_window_are_dropped() {
    let place = Place::new();
    let journal = place.open();
    let at = |start: i64| Call {
        start_time: Reading::Known(start),
        ..call("a")
    };
    let mut poll = poll(&journal, NOON);
    let mut page = poll.page(NOON - 2 * HOUR..NOON - HOUR, NOON).unwrap();
    assert_eq!(
        page.add(&at(NOON - HOUR)).unwrap(),
        Classification::OutsideWindow
    );
    assert_eq!(
        page.add(&at(NOON - 3 * HOUR)).unwrap(),
        Classification::OutsideWindow
    );
    assert_eq!(page.add(&at(NOON - 2 * HOUR)).unwrap(), NEW);
}

fn without_an_id_a_call_is_told_by_its_fields() {
    let place = Place::new();
    let journal = place.open();
    let unnamed = Call {
        id: None,
        ..call("")
    };
    let empty = Call {
        id: Some(""),
        ..call("")
    };
    let longer = Call {
        duration_ms: Reading::Known(62_000),
        ..unnamed
    };
    let new = Classification::New {
        late: false,
        unnamed: true,
    };
    let (classifications, committed) = poll_page(&journal, NOON, &[unnamed, empty, longer]);
    assert_eq!(classifications, [new, Classification::Repeated, new]);
    assert_eq!((committed.counts.new, committed.counts.unnamed), (2, 2));
    drop(journal);
    let journal = place.open();
    assert_eq!(
        poll_page(&journal, NOON, &[longer, unnamed]).0,
        [Classification::Known; 2]
    );
}

fn a_call_without_a_start_counts_once_however_often_it_is_listed() {
    let place = Place::new();
    let mut journal = place.open();
    let unreadable = |id| Call {
        start_time: Reading::Unreadable("32.13.2026"),
        ..call(id)
    };
    let unnamed = Call {
        id: None,
        ..unreadable("")
    };
    let page = [unreadable("a"), unreadable("b"), unnamed];
    let (classes, _) = poll_page(&journal, NOON, &page);
    assert_eq!(classes[..2], [NEW; 2]);
    for day in [1, 2, 3, 4, 5, 40] {
        let (classes, _) = poll_page(&journal, NOON + day * DAY, &page);
        assert_eq!(classes, [Classification::Known; 3], "day {day}");
        if day == 3 {
            drop(journal);
            journal = place.open();
        }
    }
    // A year is read in one poll, day by day, and each day lists them.
    let range = NOON - 300 * DAY..NOON;
    let options = PollOptions {
        purpose: Purpose::Backfill,
        range: range.clone(),
        settle: Duration::ZERO,
    };
    for from in (0..300).map(|day| range.start + day * DAY) {
        let mut poll = journal
            .ingest_session(
                "acme",
                PollOptions {
                    range: from..from + DAY,
                    ..options.clone()
                },
            )
            .unwrap();
        let mut open = poll.page(from..from + DAY, NOON).unwrap();
        open.expect_ids(page.iter().filter_map(|call| call.id));
        for call in &page {
            assert_eq!(open.add(call).unwrap(), Classification::Known);
        }
        open.commit(None).unwrap();
    }
    assert_eq!(call_lines(&journal).len(), 3);
}

fn an_id_older_than_the_lookback_is_a_revision() {
    for restart in [false, true] {
        let place = Place::new();
        let mut journal = place.open();
        let at = |id, start: i64| Call {
            start_time: Reading::Known(start),
            ..call(id)
        };
        let now = NOON + 7 * DAY;
        poll_page(&journal, NOON, &[call("a"), call("b"), call("c")]);
        poll_page(&journal, now, &[at("recent", now - HOUR)]);
        if restart {
            drop(journal);
            journal = place.open();
        }
        assert_eq!(
            journal.old_ids("acme").unwrap().0,
            if restart { 0 } else { 3 }
        );
        let edited = [at("a", now - 2 * HOUR), at("new", now - HOUR)];
        let (classes, _) = poll_page(&journal, now, &edited);
        assert_eq!(classes, [Classification::Revised, NEW]);
        let (classes, _) = poll_page(&journal, now, &edited);
        assert_eq!(classes, [Classification::Known; 2]);
        // Its first contents come back: the last version counts, wherever it is kept.
        let (classes, _) = poll_page(&journal, now, &[at("a", now - 3 * HOUR)]);
        assert_eq!(classes, [Classification::Revised]);
        let (classes, _) = poll_page(&journal, now, &edited);
        assert_eq!(classes, [Classification::Revised, Classification::Known]);
        // Announced ids are looked up together.
        let mut session = poll(&journal, now);
        let mut page = session.page(now - DAY..now, now).unwrap();
        page.expect_ids(["b", "c", "other"].into_iter());
        for (id, expected) in [
            ("b", Classification::Revised),
            ("c", Classification::Revised),
            ("other", NEW),
            ("b", Classification::Repeated),
        ] {
            assert_eq!(page.add(&at(id, now - HOUR)).unwrap(), expected, "{id}");
        }
        page.commit(None).unwrap();
        let mut reader = place.reader();
        assert!(reader.verify(|_| ()).unwrap().is_sound());
    }
}

fn an_edited_start_moves_a_call_to_another_day() {
    let place = Place::new();
    let journal = place.open();
    let options = PollOptions {
        purpose: Purpose::Regular,
        range: NOON - 3 * DAY..NOON,
        settle: Duration::ZERO,
    };
    let at = |start: i64| Call {
        start_time: Reading::Known(start),
        ..call("a")
    };
    let mut classifications = Vec::new();
    for (start, restart) in [
        (NOON - 2 * DAY, false),
        (NOON - HOUR, true),
        (NOON - 3 * DAY, true),
        (NOON - DAY, false),
    ] {
        let mut poll = journal.ingest_session("acme", options.clone()).unwrap();
        let mut page = poll.page(options.range.clone(), NOON).unwrap();
        classifications.push(page.add(&at(start)).unwrap());
        page.commit(None).unwrap();
        if restart {
            // Another handle's memory, loaded from the file.
            drop(poll);
        }
    }
    assert_eq!(
        classifications,
        [
            NEW,
            Classification::Revised,
            Classification::Revised,
            Classification::Revised
        ]
    );
}

fn a_backfill_finds_what_regular_polls_have_forgotten() {
    let place = Place::new();
    let journal = place.open();
    let old = |id| Call {
        start_time: Reading::Known(NOON - 40 * DAY),
        ..call(id)
    };
    poll_page(&journal, NOON - 40 * DAY + HOUR, &[old("a")]);
    poll_page(&journal, NOON, &[call("z")]);
    assert_eq!(
        journal.known_ids("acme").unwrap().0,
        1,
        "the lookback has moved on"
    );
    let range = NOON - 41 * DAY..NOON - 39 * DAY;
    let options = PollOptions {
        purpose: Purpose::Backfill,
        range: range.clone(),
        settle: Duration::ZERO,
    };
    let edited = Call {
        talk_ms: Reading::Known(1),
        ..old("a")
    };
    for expected in [[Classification::Known, NEW], [Classification::Known; 2]] {
        let mut poll = journal.ingest_session("acme", options.clone()).unwrap();
        let mut page = poll.page(range.clone(), NOON).unwrap();
        assert_eq!(
            [page.add(&old("a")).unwrap(), page.add(&old("b")).unwrap()],
            expected
        );
        page.commit(None).unwrap();
    }
    let mut poll = journal.ingest_session("acme", options).unwrap();
    let mut page = poll.page(range.clone(), NOON).unwrap();
    assert_eq!(page.add(&edited).unwrap(), Classification::Revised);
    page.commit(None).unwrap();
    // The regular poll continues in between.
    assert_eq!(
        poll_page(&journal, NOON, &[call("z")]).0,
        [Classification::Known]
    );
    assert!(journal.known_ids("acme").unwrap().0 >= 3);
}

fn accounts_do_not_know_each_other() {
    let place = Place::new();
    let journal = place.open();
    poll_page(&journal, NOON, &[call("a")]);
    let mut other = journal
        .ingest_session("other", crate::support::regular(NOON))
        .unwrap();
    let (classifications, committed) = add_page(&mut other, NOON, &[call("a")]);
    assert_eq!(classifications, [NEW]);
    let meta = &committed.batches[0].meta;
    assert_eq!(
        (&*meta.account, meta.seq.0, meta.first_sequence),
        ("other", 2, 2)
    );
}

fn a_page_and_the_state_of_its_account_are_one_commit() {
    let place = Place::new();
    let journal = place.open();
    let state = AccountState {
        watermark: Some(NOON),
        page_base: Some(0),
    };
    let mut poll = poll(&journal, NOON);
    let mut page = poll.page(NOON - DAY..NOON, NOON).unwrap();
    page.add(&call("a")).unwrap();
    page.commit(Some(state)).unwrap();
    assert_eq!(poll.state(), state);
    drop((poll, journal));
    assert_eq!(place.open().account_state("acme").unwrap(), state);
}

fn a_page_of_more_rows_than_a_batch_holds_is_still_one_commit() {
    let place = Place::new();
    let journal = place.open();
    let ids: Vec<String> = (0..70_000).map(|number| format!("call-{number}")).collect();
    let calls: Vec<Call<'_>> = ids.iter().map(|id| call(id)).collect();
    let (_, committed) = poll_page(&journal, NOON, &calls);
    let rows: Vec<_> = committed
        .batches
        .iter()
        .map(|batch| (batch.meta.rows, batch.meta.first_sequence))
        .collect();
    assert_eq!(rows, [(65_536, 1), (4_464, 65_537)]);
    drop(journal);
    let journal = place.open();
    let edited = Call {
        talk_ms: Reading::Known(7),
        ..call("call-69999")
    };
    assert_eq!(
        poll_page(&journal, NOON, &[edited, call("call-65535")]).0,
        [Classification::Revised, Classification::Known]
    );
}

fn a_guid_is_one_id_in_every_spelling() {
    let place = Place::new();
    let journal = place.open();
    let plain = "0f8fad5bd9cb469fa16570867728950e";
    let dashed = "0F8FAD5B-D9CB-469F-A165-70867728950E";
    let braced = "{0f8fad5b-d9cb-469f-a165-70867728950e}";
    let (classes, _) = poll_page(&journal, NOON, &[call(plain), call(dashed)]);
    assert_eq!(classes, [NEW, Classification::Repeated]);
    for spelling in [dashed, braced] {
        let (classes, _) = poll_page(&journal, NOON, &[call(spelling)]);
        assert_eq!(classes, [Classification::Known]);
    }
    let longer = Call {
        talk_ms: Reading::Known(60_000),
        ..call(braced)
    };
    let (classes, _) = poll_page(&journal, NOON, &[longer]);
    assert_eq!(classes, [Classification::Revised]);
    // The text is stored as it was received.
    let lines = call_lines(&journal);
    assert!(
        lines[0].contains(plain) && lines[1].contains(braced),
        "{lines:?}"
    );
    let mut reader = place.reader();
    assert!(reader.verify(|_| ()).unwrap().is_sound());
}

fn known_calls_are_found_in_any_order_and_only_once() {
    let place = Place::new();
    let journal = place.open();
    let ids: Vec<String> = (0..50).map(|number| format!("id{number}")).collect();
    let calls: Vec<Call<'_>> = ids.iter().map(|id| call(id)).collect();
    poll_page(&journal, NOON, &calls);
    // In their order, backwards, and with some left out.
    let orders: [Vec<usize>; 3] = [
        (0..50).collect(),
        (0..50).rev().collect(),
        (0..50).step_by(3).collect(),
    ];
    for order in orders {
        let mut poll = poll(&journal, NOON + MINUTE);
        let mut page = poll.page(NOON - DAY..NOON, NOON + MINUTE).unwrap();
        for index in &order {
            let hash = id_hash(&ids[*index]);
            assert_eq!(page.add_known(hash), Some(Classification::Known));
        }
        for index in &order {
            let hash = id_hash(&ids[*index]);
            assert_eq!(page.add_known(hash), Some(Classification::Repeated));
        }
        assert_eq!(page.add_known(id_hash("other")), None);
        let counts = page.commit(None).unwrap().counts;
        assert_eq!(
            (counts.known, counts.repeated),
            (order.len() as u64, order.len() as u64)
        );
    }
}

fn a_page_in_memory_never_waits() {
    let place = Place::new();
    let journal = place.open();
    poll_page(&journal, NOON, &[call("a")]);
    let mut one = poll(&journal, NOON);
    let mut other = poll(&journal, NOON);
    let mut page = one.page_in_memory(NOON - DAY..NOON, NOON).unwrap();
    assert_eq!(page.add_known(id_hash("a")), Some(Classification::Known));
    // Another page of the account is open.
    assert!(other.page_in_memory(NOON - DAY..NOON, NOON).is_none());
    page.commit(None).unwrap();
    assert!(other.page_in_memory(NOON - DAY..NOON, NOON).is_some());
    // A poll of other days: the ids of these have to be loaded.
    let later = NOON + 3 * DAY;
    let _later = poll(&journal, later);
    assert!(other.page_in_memory(NOON - DAY..NOON, NOON).is_none());
    let mut page = other.page(NOON - DAY..NOON, NOON).unwrap();
    assert_eq!(page.add_known(id_hash("a")), Some(Classification::Known));
}

on_both_engines! {
    a_page_becomes_a_batch
    known_calls_are_not_journaled_again_also_after_a_restart
    an_edit_is_a_revision_that_says_what_was_before
    the_first_row_of_an_id_in_a_poll_counts
    a_call_that_was_put_off_is_put_off_once_a_poll
    polls_that_cross_count_each_call_once
    a_page_that_is_dropped_never_was
    what_has_not_settled_comes_later
    late_is_what_the_last_complete_poll_should_have_had
    rows_outside_the_window_are_dropped
    without_an_id_a_call_is_told_by_its_fields
    a_call_without_a_start_counts_once_however_often_it_is_listed
    an_id_older_than_the_lookback_is_a_revision
    an_edited_start_moves_a_call_to_another_day
    a_backfill_finds_what_regular_polls_have_forgotten
    accounts_do_not_know_each_other
    a_page_and_the_state_of_its_account_are_one_commit
    a_page_of_more_rows_than_a_batch_holds_is_still_one_commit
    a_guid_is_one_id_in_every_spelling
    known_calls_are_found_in_any_order_and_only_once
    a_page_in_memory_never_waits
}
