//! Properties of the ledger over random histories of calls: totals plus corrections equal the
//! current contents of the calls, no counter ever decreases, and the same records give the same
//! totals, however often they were interrupted, repeated or read back.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use callmeter_meter::{Api, FamilyId, Ledger, Limits, Snapshot, Values, pairs};
use callmeter_records::{
    BatchHead, Call, CallField, CallsBuilder, Direction, Previous, Reading, Stream,
};
use proptest::prelude::*;

/// The contents of a call at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
struct Face {
    client: Option<u8>,
    center: Option<u8>,
    call_type: Option<&'static str>,
    answered: bool,
    flagged: Option<bool>,
    times: [Option<i64>; 6],
}

/// Something that happens to the call with this number in an account.
#[derive(Clone, Debug)]
struct Event {
    account: u8,
    call: u8,
    face: Face,
}

fn face() -> impl Strategy<Value = Face> {
    let time = prop_oneof![
        3 => (0_i64..5_000_000).prop_map(Some),
        1 => Just(None),
        1 => Just(Some(-5)), // no duration, though a number
        1 => Just(Some(i64::MAX)),
    ];
    let kind = proptest::sample::select(vec![
        Some("Incoming"),
        Some("outgoing"),
        Some("Transfer"),
        Some("Fax"),
        None,
    ]);
    (
        proptest::option::of(0_u8..4),
        proptest::option::of(0_u8..2),
        kind,
        any::<bool>(),
        any::<Option<bool>>(),
        proptest::array::uniform6(time),
    )
        .prop_map(
            |(client, center, call_type, answered, flagged, times)| Face {
                client,
                center,
                call_type,
                answered,
                flagged,
                times,
            },
        )
}

fn history() -> impl Strategy<Value = Vec<Event>> {
    let event = (0_u8..2, 0_u8..12, face()).prop_map(|(account, call, face)| Event {
        account,
        call,
        face,
    });
    proptest::collection::vec(event, 1..60)
}

const ACCOUNTS: [&str; 2] = ["acme", "b\"quoted\""];

fn id(number: Option<u8>, kind: &str) -> Option<String> {
    number.map(|number| format!("{kind}{number}"))
}

/// The journal's batches of a history, each of `rows` events of one account, and every call as it
/// is counted in the end.
fn batches(history: &[Event], rows: usize) -> (Vec<RecordBatch>, BTreeMap<(u8, u8), Face>) {
    let mut last: BTreeMap<(u8, u8), (i32, Face)> = BTreeMap::new();
    let mut batches = Vec::new();
    for (place, chunk) in history.chunks(rows).enumerate() {
        for account in 0..2_u8 {
            let mut builder = CallsBuilder::with_capacity(rows);
            for event in chunk.iter().filter(|event| event.account == account) {
                let face = &event.face;
                let (client, center) = (id(face.client, "client"), id(face.center, "center"));
                let name = format!("call{}", event.call);
                let reading = |place: usize| match face.times[place] {
                    Some(time) => Reading::Known(time),
                    None => Reading::Missing,
                };
                let call = Call {
                    id: (event.call > 0).then_some(name.as_str()),
                    client_id: client.as_deref(),
                    center_id: center.as_deref(),
                    start_time: Reading::Known(1_000_000 * i64::from(event.call)),
                    call_type: face.call_type,
                    answered_by: face.answered.then_some("Eve"),
                    flagged: face.flagged.map_or(Reading::Missing, Reading::Known),
                    duration_ms: reading(0),
                    ring_ms: reading(1),
                    hold_ms: reading(2),
                    talk_ms: reading(3),
                    transfer_ms: reading(4),
                    work_ms: reading(5),
                    ..Call::default()
                };
                // A duration that is missing or negative keeps the value that was counted.
                let before = last.get(&(account, event.call));
                let before = before.map_or([None; 6], |(_, before)| before.times);
                let mut counted = face.clone();
                for (time, before) in counted.times.iter_mut().zip(before) {
                    *time = time.filter(|time| *time >= 0).or(before);
                }
                match last.get_mut(&(account, event.call)) {
                    None => {
                        builder.append(&call);
                        last.insert((account, event.call), (0, counted));
                    }
                    Some((revision, before)) => {
                        let (client, center) =
                            (id(before.client, "client"), id(before.center, "center"));
                        builder.append_revised(
                            &call,
                            &Previous {
                                revision: *revision,
                                client_id: client.as_deref(),
                                center_id: center.as_deref(),
                                call_type: before.call_type,
                                answered_by: before.answered.then_some("Eve"),
                                flagged: before.flagged,
                                durations: before.times,
                            },
                        );
                        *revision += 1;
                        *before = counted;
                    }
                }
            }
            if !builder.is_empty() {
                let observed_at = 1_700_000_000_000_000 + i64::try_from(place).unwrap() * 1_000_000;
                let head = BatchHead {
                    account: ACCOUNTS[usize::from(account)],
                    first_sequence: 1,
                    observed_at,
                };
                batches.push(builder.finish(&head).unwrap());
            }
        }
    }
    let last = last.into_iter().map(|(key, (_, face))| (key, face));
    (batches, last.collect())
}

fn ledger(cap: usize) -> Ledger {
    let mut ledger = Ledger::new(Limits { label_sets: cap });
    for account in ACCOUNTS {
        ledger.configure(account, Api::HostedSuite);
    }
    ledger
}

fn apply(ledger: &mut Ledger, number: usize, batch: &RecordBatch) -> bool {
    let number = u64::try_from(number).unwrap() + 1;
    ledger.apply(number, Stream::Calls, batch).unwrap()
}

fn count_all(cap: usize, batches: &[RecordBatch]) -> Ledger {
    let mut ledger = ledger(cap);
    for (number, batch) in batches.iter().enumerate() {
        assert!(apply(&mut ledger, number, batch));
    }
    ledger
}

/// Sums of all series of a family by these labels.
fn sums(snapshot: &Snapshot, family: FamilyId, by: &[&str]) -> BTreeMap<Vec<String>, i128> {
    let mut sums = BTreeMap::new();
    for block in snapshot.blocks(family) {
        for row in 0..block.len() {
            let labels: BTreeMap<_, _> = pairs(block.labels.row(row)).collect();
            let key = by.iter().map(|name| labels[name].to_string()).collect();
            let value = match block.values {
                Values::Integers(values) => i128::from(values[row]),
                Values::Amounts(values, _) => values[row],
                Values::Histograms(column) => column.row(row).unwrap().sum_ms,
                Values::Floats(_) => unreachable!("totals are no floats"),
            };
            *sums.entry(key).or_insert(0) += value;
        }
    }
    sums.retain(|_, value| *value != 0);
    sums
}

fn add(to: &mut BTreeMap<Vec<String>, i128>, key: &[&str], value: i128) {
    let key = key.iter().map(ToString::to_string).collect::<Vec<_>>();
    *to.entry(key).or_insert(0) += value;
}

fn merged(
    mut one: BTreeMap<Vec<String>, i128>,
    other: BTreeMap<Vec<String>, i128>,
) -> BTreeMap<Vec<String>, i128> {
    for (key, value) in other {
        *one.entry(key).or_insert(0) += value;
    }
    one.retain(|_, value| *value != 0);
    one
}

const HISTOGRAMS: [FamilyId; 6] = [
    FamilyId::CallDuration,
    FamilyId::CallRing,
    FamilyId::CallHold,
    FamilyId::CallTalk,
    FamilyId::CallTransfer,
    FamilyId::CallWork,
];

/// Compares totals plus corrections with the last contents of every call. `by_client` is off where
/// clients were folded.
fn check_truth(snapshot: &Snapshot, faces: &BTreeMap<(u8, u8), Face>, by_client: bool) {
    let all = ["account", "client_id", "center_id", "direction"];
    let counts_by: &[&str] = if by_client {
        &all
    } else {
        &["account", "direction"]
    };
    let times_by: &[&str] = if by_client {
        &["account", "client_id", "direction"]
    } else {
        &["account", "direction"]
    };
    let mut truth = [const { BTreeMap::new() }; 4];
    let mut times = [const { BTreeMap::new() }; 6];
    for ((account, _), face) in faces {
        let account = ACCOUNTS[usize::from(*account)];
        let client = id(face.client, "client").unwrap_or_else(|| "unknown".into());
        let center = id(face.center, "center").unwrap_or_else(|| "unknown".into());
        let direction = Direction::of_type(face.call_type).as_str();
        let counts_key = [account, &client, &center, direction];
        let counts_key: &[&str] = if by_client {
            &counts_key
        } else {
            &[account, direction]
        };
        let times_key = [account, &client, direction];
        let times_key: &[&str] = if by_client {
            &times_key
        } else {
            &[account, direction]
        };
        let talk = face.times[CallField::Talk.index()];
        add(&mut truth[0], counts_key, 1);
        add(
            &mut truth[1],
            counts_key,
            i128::from(!face.answered && talk == Some(0)),
        );
        add(
            &mut truth[3],
            counts_key,
            i128::from(!face.answered && talk.is_none()),
        );
        add(
            &mut truth[2],
            counts_key,
            i128::from(face.flagged == Some(true)),
        );
        for (field, time) in face.times.iter().enumerate() {
            add(
                &mut times[field],
                times_key,
                i128::from(time.unwrap_or(0).max(0)),
            );
        }
    }
    let mut by = counts_by.to_vec();
    by.push("count");
    let corrections = sums(snapshot, FamilyId::CallCorrectionsCalls, &by);
    for ((family, name), mut truth) in [
        (FamilyId::Calls, "calls"),
        (FamilyId::CallsUnanswered, "unanswered"),
        (FamilyId::CallsFlagged, "flagged"),
        (FamilyId::CallsAnswerUnknown, "answer_unknown"),
    ]
    .into_iter()
    .zip(truth)
    {
        truth.retain(|_, value| *value != 0);
        let counted = merged(
            sums(snapshot, family, counts_by),
            of_last_label(&corrections, name),
        );
        assert_eq!(counted, truth, "{name}");
    }
    let mut by = times_by.to_vec();
    by.push("field");
    let corrections = sums(snapshot, FamilyId::CallCorrectionsSeconds, &by);
    for ((family, field), mut truth) in HISTOGRAMS.into_iter().zip(CallField::ALL).zip(times) {
        truth.retain(|_, value| *value != 0);
        let counted = merged(
            sums(snapshot, family, times_by),
            of_last_label(&corrections, field.name()),
        );
        assert_eq!(counted, truth, "{}", field.name());
    }
}

fn of_last_label(sums: &BTreeMap<Vec<String>, i128>, value: &str) -> BTreeMap<Vec<String>, i128> {
    let matching = sums
        .iter()
        .filter(|(key, _)| key.last().is_some_and(|last| last == value));
    matching
        .map(|(key, sum)| (key[..key.len() - 1].to_vec(), *sum))
        .collect()
}

/// Every number that may only increase, by family and labels.
fn rising(snapshot: &Snapshot) -> BTreeMap<String, Vec<i128>> {
    let mut numbers = BTreeMap::new();
    let totals = FamilyId::ALL
        .iter()
        .filter(|id| id.family().name.ends_with("_total"));
    for family in totals.chain(&HISTOGRAMS) {
        for block in snapshot.blocks(*family) {
            for row in 0..block.len() {
                let values = match block.values {
                    Values::Integers(values) => vec![i128::from(values[row])],
                    Values::Amounts(values, _) => vec![values[row]],
                    Values::Histograms(column) => {
                        let row = column.row(row).unwrap();
                        let native: u64 = row.native().map(|bucket| bucket.count).sum();
                        assert_eq!(native, row.count());
                        let buckets = row.buckets.iter().map(|count| i128::from(*count));
                        buckets.chain([row.sum_ms]).collect()
                    }
                    Values::Floats(_) => vec![],
                };
                let key = format!("{}{{{}}}", family.family().name, block.labels.row(row));
                assert!(numbers.insert(key, values).is_none(), "a series twice");
            }
        }
    }
    numbers
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn totals_and_corrections_are_the_truth(history in history(), rows in 1_usize..20, cap in prop_oneof![Just(1000), 0_usize..6]) {
        let (batches, faces) = batches(&history, rows);
        let mut ledger = count_all(cap, &batches);
        check_truth(&ledger.snapshot(), &faces, cap == 1000);
    }

    #[test]
    fn nothing_that_counts_falls_or_vanishes(history in history(), rows in 1_usize..20, cap in 0_usize..20) {
        let (batches, _) = batches(&history, rows);
        let mut ledger = ledger(cap);
        let mut before = rising(&ledger.snapshot());
        for (number, batch) in batches.iter().enumerate() {
            apply(&mut ledger, number, batch);
            let now = rising(&ledger.snapshot());
            for (series, values) in &before {
                let risen = now.get(series).is_some_and(|now| now.iter().zip(values).all(|(now, before)| now >= before));
                prop_assert!(risen, "{} fell", series);
            }
            before = now;
        }
    }

    #[test]
    fn the_same_records_give_the_same_bytes(
        history in history(),
        rows in 1_usize..10,
        cap in 0_usize..20,
        breaks in proptest::collection::vec(any::<(bool, bool, bool)>(), 120),
    ) {
        let (batches, _) = batches(&history, rows);
        let straight = count_all(cap, &batches);
        // The same with restarts, repeated batches, clients known beforehand, and neighbours of
        // different accounts swapped.
        let mut order: Vec<usize> = (0..batches.len()).collect();
        for (place, (swap, ..)) in (1..order.len()).zip(&breaks) {
            let account = |batch: usize| batches[batch].column_by_name("account").cloned();
            let differ = account(order[place - 1]).map(|column| column.slice(0, 1)) != account(order[place]).map(|column| column.slice(0, 1));
            if *swap && differ {
                order.swap(place - 1, place);
            }
        }
        let mut broken = ledger(cap);
        for (number, (_, restart, know)) in order.into_iter().zip(&breaks) {
            if *know {
                let client = callmeter_meter::Client { client_id: "client1".into(), center_id: Some("center1".into()), ..Default::default() };
                broken.set_clients(ACCOUNTS[0], 5, vec![client]);
            }
            prop_assert!(apply(&mut broken, number, &batches[number]));
            if *restart {
                broken = Ledger::decode(&broken.encode(), Limits { label_sets: cap }).unwrap();
                prop_assert!(!apply(&mut broken, number, &batches[number]));
            }
        }
        prop_assert_eq!(broken.applied_through(), straight.applied_through());
        prop_assert_eq!(broken.encode(), straight.encode());
    }
}

/// The rows of one call without an operator that is read several times, with these talk times.
fn polls(talk_times: &[Option<i64>]) -> Vec<RecordBatch> {
    let face = |talk| Face {
        client: Some(1),
        center: Some(1),
        call_type: Some("Incoming"),
        answered: false,
        flagged: None,
        times: [talk; 6],
    };
    let events = talk_times.iter().map(|talk| Event {
        account: 0,
        call: 1,
        face: face(*talk),
    });
    batches(&events.collect::<Vec<_>>(), 1).0
}

fn counter(snapshot: &Snapshot, family: FamilyId, direction: &str) -> Option<i128> {
    let labels = format!(
        r#"account="acme",client_id="client1",center_id="center1",direction="{direction}""#
    );
    snapshot.find(family, &labels)
}

#[test]
fn a_duration_that_comes_and_goes_is_observed_once() {
    let batches = polls(&[Some(10_000), None, Some(12_000), None, Some(13_000)]);
    let snapshot = count_all(10, &batches).snapshot();
    assert_eq!(counter(&snapshot, FamilyId::Calls, "incoming"), Some(1));
    let labels = r#"account="acme",client_id="client1",direction="incoming""#;
    for (family, field) in HISTOGRAMS.into_iter().zip(CallField::ALL) {
        let observed: u64 = (snapshot.blocks(family))
            .map(|block| match block.values {
                Values::Histograms(column) => (0..column.len())
                    .map(|row| column.row(row).unwrap().count())
                    .sum::<u64>(),
                _ => unreachable!("a histogram"),
            })
            .sum();
        assert_eq!(observed, 1, "{}", field.name());
        assert_eq!(snapshot.find(family, labels), Some(10_000));
        let corrected = format!("{labels},field=\"{}\"", field.name());
        let corrected = snapshot.find(FamilyId::CallCorrectionsSeconds, &corrected);
        assert_eq!(corrected, Some(3_000));
        let missing = format!("account=\"acme\",field=\"{}\"", field.name());
        let missing = snapshot.find(FamilyId::CallValuesMissing, &missing);
        assert_eq!(missing, Some(0), "it was counted");
    }
}

#[test]
fn a_call_without_talk_time_is_neither_answered_nor_unanswered_until_it_is_known() {
    let shown = |talk_times: &[Option<i64>]| {
        let snapshot = count_all(10, &polls(talk_times)).snapshot();
        let corrections = sums(&snapshot, FamilyId::CallCorrectionsCalls, &["count"]);
        let counts = [FamilyId::CallsUnanswered, FamilyId::CallsAnswerUnknown];
        let counts = counts.map(|family| counter(&snapshot, family, "incoming"));
        (counts, corrections.into_iter().collect::<Vec<_>>())
    };
    let unknown_left = vec![(vec!["answer_unknown".to_owned()], -1)];
    assert_eq!(shown(&[None]), ([Some(0), Some(1)], vec![]));
    assert_eq!(shown(&[Some(0)]), ([Some(1), Some(0)], vec![]));
    assert_eq!(shown(&[Some(0), None]), ([Some(1), Some(0)], vec![]));
    assert_eq!(
        shown(&[None, Some(0)]),
        ([Some(1), Some(1)], unknown_left.clone())
    );
    assert_eq!(shown(&[None, Some(5)]), ([Some(0), Some(1)], unknown_left));
}

/// A snapshot of version 1 has no count of unknown answers.
#[test]
fn totals_of_the_first_version_are_read() {
    let ledger = count_all(10, &polls(&[Some(0)]));
    let mut bytes = ledger.encode();
    bytes.truncate(bytes.len() - 8);
    assert_eq!(bytes[4], 3, "the version");
    bytes[4] = 1;
    // No charges, no corrected ones, none that are not charged; and their groups of folded updates,
    // which come before the number of series.
    bytes.truncate(bytes.len() - 3);
    let folded = bytes
        .windows(8)
        .position(|bytes| bytes == [0, 0, 0, 0, 0, 0, 0, 1]);
    bytes.drain(folded.unwrap()..folded.unwrap() + 2);
    // Calls, unanswered, flagged and unknown of the only series.
    let counts = bytes.windows(4).position(|bytes| bytes == [1, 1, 0, 0]);
    bytes.remove(counts.unwrap() + 3);
    let sum = xxhash_rust::xxh3::xxh3_64(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    let read = Ledger::decode(&bytes, Limits { label_sets: 10 }).unwrap();
    assert_eq!(read.encode(), ledger.encode());
}

#[test]
fn a_batch_that_cannot_be_read_counts_nothing() {
    let mut counted = ledger(10);
    let before = counted.encode();
    let empty = RecordBatch::new_empty(Stream::Rates.schema());
    let error = counted.apply(1, Stream::Calls, &empty).unwrap_err();
    insta::assert_snapshot!(error, @"cannot count a batch of calls: the batch has no column `client_id`");
    assert_eq!(counted.encode(), before);
}

#[test]
fn a_client_shows_at_zero_before_its_first_call() {
    let mut ledger = ledger(10);
    let client = callmeter_meter::Client {
        client_id: "42".into(),
        center_id: Some("7".into()),
        ..Default::default()
    };
    ledger.set_clients("acme", 1_000_000, vec![client]);
    let snapshot = ledger.snapshot();
    let labels = r#"account="acme",client_id="42",center_id="7",direction="incoming""#;
    assert_eq!(snapshot.find(FamilyId::Calls, labels), Some(0));
    assert_eq!(
        snapshot.find(FamilyId::Calls, &labels.replace("incoming", "outgoing")),
        Some(0)
    );
    let labels = r#"account="acme",client_id="42",direction="incoming""#;
    assert_eq!(snapshot.find(FamilyId::CallTalk, labels), Some(0));
}
