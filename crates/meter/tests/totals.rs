//! Properties of the ledger over random histories of calls: totals plus corrections equal the
//! current contents of the calls, no counter ever decreases, and the same records give the same
//! totals, however often they were interrupted, repeated or read back.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use callmeter_meter::{
    Api, CallTime, FamilyId, HistogramColumn, Ledger, Limits, Snapshot, Values, View, pairs,
};
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
    let mut last: BTreeMap<(u8, u8), (i32, i64, Face)> = BTreeMap::new();
    let mut sequence = 0;
    let mut batches = Vec::new();
    for (place, chunk) in history.chunks(rows).enumerate() {
        for account in 0..2_u8 {
            let mut builder = CallsBuilder::with_capacity(rows);
            let first_sequence = sequence + 1;
            for event in chunk.iter().filter(|event| event.account == account) {
                sequence += 1;
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
                let before = before.map_or([None; 6], |(.., before)| before.times);
                let mut counted = face.clone();
                for (time, before) in counted.times.iter_mut().zip(before) {
                    *time = time.filter(|time| *time >= 0).or(before);
                }
                match last.get_mut(&(account, event.call)) {
                    None => {
                        builder.append(&call);
                        last.insert((account, event.call), (0, sequence, counted));
                    }
                    Some((revision, place, before)) => {
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
                                sequence: Some(*place),
                                ..Previous::default()
                            },
                        );
                        *revision += 1;
                        *place = sequence;
                        *before = counted;
                    }
                }
            }
            if !builder.is_empty() {
                let observed_at = 1_700_000_000_000_000 + i64::try_from(place).unwrap() * 1_000_000;
                let head = BatchHead {
                    account: ACCOUNTS[usize::from(account)],
                    first_sequence,
                    observed_at,
                };
                batches.push(builder.finish(&head).unwrap());
            }
        }
    }
    let last = last.into_iter().map(|(key, (.., face))| (key, face));
    (batches, last.collect())
}

fn limits(cap: usize) -> Limits {
    Limits {
        label_sets: cap,
        operators: true,
        ..Limits::default()
    }
}

fn ledger(cap: usize) -> Ledger {
    let mut ledger = Ledger::new(limits(cap));
    ledger.set_view(View::everything());
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
    sums_of(snapshot, family, by, |column, row| {
        column.row(row).unwrap().sum_ms
    })
}

fn sums_of(
    snapshot: &Snapshot,
    family: FamilyId,
    by: &[&str],
    of_histogram: impl Fn(&HistogramColumn, usize) -> i128,
) -> BTreeMap<Vec<String>, i128> {
    let mut sums = BTreeMap::new();
    for block in snapshot.blocks(family) {
        for row in 0..block.len() {
            let labels: BTreeMap<_, _> = pairs(block.labels.row(row)).collect();
            let key = by.iter().map(|name| labels[name].to_string()).collect();
            let value = match block.values {
                Values::Integers(values) => i128::from(values[row]),
                Values::Amounts(values, _) => values[row],
                Values::Histograms(column) => of_histogram(column, row),
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

const HISTOGRAMS: [(FamilyId, CallTime); 7] = [
    (FamilyId::CallDuration, CallTime::Field(CallField::Duration)),
    (FamilyId::CallHold, CallTime::Field(CallField::Hold)),
    (FamilyId::CallTalk, CallTime::Field(CallField::Talk)),
    (FamilyId::CallTransfer, CallTime::Field(CallField::Transfer)),
    (FamilyId::CallWork, CallTime::Field(CallField::Work)),
    (FamilyId::CallAnswer, CallTime::Answer),
    (FamilyId::CallAbandon, CallTime::Abandon),
];

const CLIENT_SUMS: [FamilyId; 6] = [
    FamilyId::ClientDuration,
    FamilyId::ClientRing,
    FamilyId::ClientHold,
    FamilyId::ClientTalk,
    FamilyId::ClientTransfer,
    FamilyId::ClientWork,
];

/// The counters and the counts of histograms, with their labels in the corrections, and whether
/// they are by client.
const COUNTS: [(FamilyId, &str, bool); 7] = [
    (FamilyId::Calls, "calls", true),
    (FamilyId::CallsUnanswered, "unanswered", true),
    (FamilyId::CallsFlagged, "flagged", true),
    (FamilyId::CallsAnswerUnknown, "answer_unknown", false),
    (FamilyId::CallsAbandoned, "abandoned", false),
    (FamilyId::CallAnswer, "answer", false),
    (FamilyId::CallAbandon, "abandon", false),
];

type Sums = BTreeMap<Vec<String>, i128>;

fn known(time: Option<i64>) -> Option<i128> {
    time.filter(|time| *time >= 0).map(i128::from)
}

/// The times of a call by [`CallTime::ALL`], and whether each of [`COUNTS`] counts it.
fn figures(face: &Face) -> ([Option<i128>; 8], [bool; 7]) {
    let [duration, ring, hold, talk, transfer, work] = face.times.map(known);
    let answered = match (face.answered, talk) {
        (true, _) => Some(true),
        (false, talk) => talk.map(|talk| talk > 0),
    };
    let answer = ring.filter(|_| answered == Some(true));
    let abandon = ring.filter(|_| answered == Some(false));
    let times = [duration, ring, hold, talk, transfer, work, answer, abandon];
    let counts = [
        true,
        answered == Some(false),
        face.flagged == Some(true),
        answered.is_none(),
        abandon.is_some_and(|rang| rang > 5_000),
        answer.is_some(),
        abandon.is_some(),
    ];
    (times, counts)
}

/// Compares totals plus corrections with the last contents of every call. `by_client` is off where
/// clients were folded, and centers with them.
fn check_truth(snapshot: &Snapshot, faces: &BTreeMap<(u8, u8), Face>, by_client: bool) {
    let (by_all, by_center, by_one): (&[&str], &[&str], &[&str]) = if by_client {
        (
            &["account", "client_id", "center_id", "direction"],
            &["account", "center_id", "direction"],
            &["account", "client_id"],
        )
    } else {
        (
            &["account", "direction"],
            &["account", "direction"],
            &["account"],
        )
    };
    let mut counts = [const { Sums::new() }; COUNTS.len()];
    let mut times = [const { Sums::new() }; 8];
    let mut clients = [const { Sums::new() }; 6];
    let mut operators = [const { Sums::new() }; 2];
    for ((account, _), face) in faces {
        let account = ACCOUNTS[usize::from(*account)];
        let client = id(face.client, "client").unwrap_or_else(|| "unknown".into());
        let center = id(face.center, "center").unwrap_or_else(|| "unknown".into());
        let direction = Direction::of_type(face.call_type).as_str();
        let of = |labels: &[&str]| -> Vec<&str> {
            let value = |label: &&str| match *label {
                "account" => account,
                "client_id" => client.as_str(),
                "center_id" => center.as_str(),
                _ => direction,
            };
            labels.iter().map(value).collect()
        };
        let (call_times, call_counts) = figures(face);
        for ((sums, counted), (_, _, is_client)) in counts.iter_mut().zip(call_counts).zip(COUNTS) {
            let by = if is_client { by_all } else { by_center };
            add(sums, &of(by), i128::from(counted));
        }
        for (sums, time) in times.iter_mut().zip(call_times) {
            add(sums, &of(by_center), time.unwrap_or(0));
        }
        for (sums, time) in clients.iter_mut().zip(call_times) {
            add(sums, &of(by_one), time.unwrap_or(0));
        }
        if face.answered {
            let [calls, talk] = &mut operators;
            add(calls, &[account], 1);
            add(talk, &[account], call_times[3].unwrap_or(0));
        }
    }
    let corrections = |family, by: &[&str], label: &'static str, value: &str| {
        let mut by = by.to_vec();
        by.push(label);
        of_last_label(&sums(snapshot, family, &by), value)
    };
    let nonzero = |mut truth: Sums| {
        truth.retain(|_, value| *value != 0);
        truth
    };
    for ((family, name, is_client), truth) in COUNTS.into_iter().zip(counts) {
        let by = if is_client { by_all } else { by_center };
        let counted = merged(
            counts_of(snapshot, family, by),
            corrections(FamilyId::CallCorrectionsCalls, by, "count", name),
        );
        assert_eq!(counted, nonzero(truth), "{name}");
    }
    let place = |time| CallTime::ALL.iter().position(|one| *one == time).unwrap();
    for (family, time) in HISTOGRAMS {
        let name = time.label();
        let counted = merged(
            sums(snapshot, family, by_center),
            corrections(FamilyId::CallCorrectionsSeconds, by_center, "field", name),
        );
        assert_eq!(counted, nonzero(times[place(time)].clone()), "{name}");
    }
    for ((family, field), truth) in CLIENT_SUMS.into_iter().zip(CallField::ALL).zip(clients) {
        let name = field.name();
        let counted = merged(
            sums(snapshot, family, by_one),
            corrections(FamilyId::CallCorrectionsSeconds, by_one, "field", name),
        );
        assert_eq!(counted, nonzero(truth), "{name} by client");
    }
    for ((total, corrected), truth) in [
        (FamilyId::OperatorCalls, FamilyId::OperatorCorrectionsCalls),
        (FamilyId::OperatorTalk, FamilyId::OperatorCorrectionsSeconds),
    ]
    .into_iter()
    .zip(operators)
    {
        let by = &["account"];
        let counted = merged(sums(snapshot, total, by), sums(snapshot, corrected, by));
        assert_eq!(counted, nonzero(truth), "{total:?}");
    }
}

/// The counters of a family by these labels, or the counts of a histogram.
fn counts_of(snapshot: &Snapshot, family: FamilyId, by: &[&str]) -> Sums {
    sums_of(snapshot, family, by, |column, row| {
        i128::from(column.row(row).unwrap().count())
    })
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
    for family in totals.chain(HISTOGRAMS.iter().map(|(family, _)| family)) {
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
                broken = Ledger::decode(&broken.encode(), limits(cap)).unwrap();
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
    for (family, time) in HISTOGRAMS {
        let field = time.label();
        let observed: u64 = (snapshot.blocks(family))
            .map(|block| match block.values {
                Values::Histograms(column) => (0..column.len())
                    .map(|row| column.row(row).unwrap().count())
                    .sum::<u64>(),
                _ => unreachable!("a histogram"),
            })
            .sum();
        if time == CallTime::Abandon {
            assert_eq!(observed, 0);
            continue;
        }
        assert_eq!(observed, 1, "{field}");
        let labels = r#"account="acme",center_id="center1",direction="incoming""#;
        assert_eq!(snapshot.find(family, labels), Some(10_000));
        let labels =
            r#"account="acme",client_id="client1",center_id="center1",direction="incoming""#;
        let corrected = format!("{labels},field=\"{field}\"");
        let corrected = snapshot.find(FamilyId::CallCorrectionsSeconds, &corrected);
        assert_eq!(corrected, Some(3_000));
        if let CallTime::Field(_) = time {
            let missing = format!("account=\"acme\",field=\"{field}\"");
            let missing = snapshot.find(FamilyId::CallValuesMissing, &missing);
            assert_eq!(missing, Some(0), "it was counted");
        }
    }
}

#[test]
fn a_call_without_talk_time_is_neither_answered_nor_unanswered_until_it_is_known() {
    let shown = |talk_times: &[Option<i64>]| {
        let snapshot = count_all(10, &polls(talk_times)).snapshot();
        let mut corrections = sums(&snapshot, FamilyId::CallCorrectionsCalls, &["count"]);
        corrections.retain(|count, _| count[0] != "answer" && count[0] != "abandon");
        let counts = [FamilyId::CallsUnanswered, FamilyId::CallsAnswerUnknown];
        let counts = counts.map(|family| {
            let of_center = r#"account="acme",center_id="center1",direction="incoming""#;
            let by_center = snapshot.find(family, of_center);
            by_center.or_else(|| counter(&snapshot, family, "incoming"))
        });
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

/// The bytes of an older version: one account, in which a client with one center and one with two
/// had a call of 8 seconds each.
fn old_totals(version: u8) -> Vec<u8> {
    let mut bytes = b"CMtr".to_vec();
    // Version, buckets, native schema, two batches counted in order, one account.
    bytes.extend([version, 15, 6, 2, 0, 1]);
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.push(u8::try_from(text.len()).unwrap());
        bytes.extend(text.as_bytes());
    };
    text(&mut bytes, "acme");
    // Revised, without id, no times, nothing folded.
    bytes.extend([1, 0, 0, 0, 0, 0]);
    bytes.extend([0; 5]);
    let counts = [
        ("client1", "center1", [1, 0, 1, 0]),
        ("client2", "center1", [1, 0, 0, 0]),
        ("client2", "center2", [0, 0, 0, 0]),
    ];
    bytes.push(3);
    for (client, center, counts) in counts {
        text(&mut bytes, client);
        text(&mut bytes, center);
        bytes.extend([0, 10]);
        bytes.extend(counts.iter().take(if version == 1 { 3 } else { 4 }));
    }
    bytes.push(2);
    for client in ["client1", "client2"] {
        text(&mut bytes, client);
        bytes.extend([0, 10]);
        for _ in CallField::ALL {
            // One observation of 8 s in the bucket of 10 s, and in native bucket 24.
            bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            bytes.extend([0x80, 0x7d, 1, 48, 1]);
        }
    }
    // A correction of the first client's talk time by -1 ms. Nothing is missing or else corrected.
    bytes.extend([0, 1]);
    text(&mut bytes, "client1");
    bytes.extend([0, 3, 1, 0, 0]);
    let sum = xxhash_rust::xxh3::xxh3_64(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// Older versions have histograms by client only. Nothing of them is lost.
#[test]
fn totals_of_older_versions_are_kept() {
    for version in [1, 2] {
        let bytes = old_totals(version);
        assert!(Ledger::is_outdated(&bytes));
        let mut read = Ledger::decode(&bytes, limits(10)).unwrap();
        assert!(!Ledger::is_outdated(&read.encode()));
        assert_eq!(read.applied_through(), 2);
        read.set_view(View::everything());
        read.configure("acme", Api::HostedSuite);
        let snapshot = read.snapshot();
        let by = |family, labels: &[&str]| {
            let sums = sums(&snapshot, family, labels).into_iter();
            sums.map(|(key, sum)| format!("{} {sum}", key.join(",")))
                .collect::<Vec<_>>()
        };
        let calls = by(FamilyId::Calls, &["client_id", "center_id"]);
        assert_eq!(calls, ["client1,center1 1", "client2,center1 1"]);
        let talk = by(FamilyId::ClientTalk, &["client_id"]);
        assert_eq!(talk, ["client1 8000", "client2 8000"]);
        // It is not known at which center the second client's call was.
        let talk = by(FamilyId::CallTalk, &["center_id", "direction"]);
        assert_eq!(talk, ["center1,incoming 8000", "unknown,incoming 8000"]);
        let corrected = by(
            FamilyId::CallCorrectionsSeconds,
            &["client_id", "center_id", "field"],
        );
        assert_eq!(corrected, ["client1,center1,talk -1"]);
        assert!(by(FamilyId::CallAnswer, &["center_id"]).is_empty());
        let again = Ledger::decode(&read.encode(), limits(10)).unwrap();
        assert_eq!(again.encode(), read.encode());
    }
}

/// Names of people are counted only if the configuration asks for them, and forgotten if not.
#[test]
fn operators_are_forgotten_when_they_are_no_longer_counted() {
    let event = Event {
        account: 0,
        call: 1,
        face: Face {
            answered: true,
            times: [Some(10_000); 6],
            ..Face::default()
        },
    };
    let (batches, _) = batches(&[event], 1);
    let counted = count_all(10, &batches);
    assert!(counted.encode().windows(3).any(|three| three == b"Eve"));
    let off = Limits {
        operators: false,
        ..limits(10)
    };
    let mut forgotten = Ledger::decode(&counted.encode(), off).unwrap();
    assert!(forgotten.set_limits(off));
    assert!(!forgotten.encode().windows(3).any(|three| three == b"Eve"));
    let mut never = Ledger::new(off);
    for (number, batch) in batches.iter().enumerate() {
        apply(&mut never, number, batch);
    }
    assert_eq!(never.encode(), forgotten.encode());
}

/// What is shown is a choice among what is counted: it can be changed back and forth.
#[test]
fn a_view_changes_no_total() {
    let history = [("center1", 1), ("center2", 2)].map(|(_, center)| Event {
        account: 0,
        call: center,
        face: Face {
            client: Some(1),
            center: Some(center),
            call_type: Some("Incoming"),
            answered: true,
            times: [Some(10_000); 6],
            ..Face::default()
        },
    });
    let mut ledger = count_all(10, &batches(&history, 1).0);
    let bytes = ledger.encode();
    let all = rising(&ledger.snapshot());
    let of = |snapshot: &Snapshot, family, labels: &str| snapshot.find(family, labels);
    ledger.set_view(View::default());
    let snapshot = ledger.snapshot();
    assert_eq!(snapshot.blocks(FamilyId::CallTalk).count(), 0);
    assert!(snapshot.blocks(FamilyId::CallAnswer).count() > 0);
    ledger.set_view(View {
        client_histograms: true,
        left_out: vec!["center_id", "direction"],
        ..View::everything()
    });
    let snapshot = ledger.snapshot();
    let labels = r#"account="acme",client_id="client1""#;
    assert_eq!(of(&snapshot, FamilyId::Calls, labels), Some(2));
    assert_eq!(of(&snapshot, FamilyId::CallTalk, labels), Some(20_000));
    assert_eq!(of(&snapshot, FamilyId::CallsAbandoned, labels), Some(0));
    ledger.set_view(View::everything());
    assert_eq!(rising(&ledger.snapshot()), all);
    assert_eq!(ledger.encode(), bytes);
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
    let labels = r#"account="acme",client_id="42""#;
    assert_eq!(snapshot.find(FamilyId::ClientTalk, labels), Some(0));
    let labels = r#"account="acme",center_id="7",direction="incoming""#;
    assert_eq!(snapshot.find(FamilyId::CallAnswer, labels), Some(0));
    assert_eq!(snapshot.find(FamilyId::CallsAbandoned, labels), Some(0));
}
