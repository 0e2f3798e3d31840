//! Settings that change while calls are counted: an edit takes a call back as it was counted, so
//! that counters plus corrections are the truth after every change, edit and restart.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::{BTreeMap, BTreeSet};

use callmeter_meter::{Api, FamilyId, HourFigures, Ledger, Limits, Snapshot, Values, View, pairs};
use callmeter_records::{BatchHead, Call, CallsBuilder, Previous, Reading, Stream};
use proptest::prelude::*;

const HOUR: i64 = 3_600_000_000;
const NOW: i64 = 1_000 * HOUR;

/// A version of a call: incoming, of a client, that rang so many seconds and was answered, or not.
#[derive(Clone, Copy, Debug)]
struct Version {
    client: u8,
    rang: i64,
    operator: Option<&'static str>,
    talk: i64,
    /// Hours before now.
    age: i64,
}

#[derive(Clone, Debug)]
enum Step {
    Read(u8, Version),
    Settings(Limits),
    Restart,
    /// The process is killed: the totals are those of the last stored ones, and the rest is counted
    /// again.
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let version = (
        0_u8..4,
        0_i64..40,
        proptest::sample::select(vec![None, Some("Eve"), Some("Adam")]),
        0_i64..50,
        -2_i64..60,
    )
        .prop_map(|(client, rang, operator, talk, age)| Version {
            client,
            rang,
            operator,
            talk: if operator.is_some() { talk } else { 0 },
            age,
        });
    let limits =
        (1_usize..5, 0_i64..40, any::<bool>()).prop_map(|(label_sets, short, operators)| Limits {
            label_sets,
            short_abandon_ms: short * 1_000,
            operators,
        });
    prop_oneof![
        6 => (0_u8..8, version).prop_map(|(call, version)| Step::Read(call, version)),
        2 => limits.prop_map(Step::Settings),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
    ]
}

/// How a call is counted at the moment.
#[derive(Clone, Copy, Debug)]
struct Counted {
    version: Version,
    sequence: i64,
    observed_at: i64,
    revision: i32,
    short_abandon_ms: i64,
    by_operator: bool,
}

struct World {
    ledger: Ledger,
    limits: Limits,
    stored: Vec<u8>,
    /// The batches since the totals were stored.
    unstored: Vec<(u64, arrow_array::RecordBatch)>,
    sequence: i64,
    calls: BTreeMap<u8, Counted>,
}

impl World {
    fn new() -> Self {
        let limits = Limits {
            operators: true,
            ..Limits::default()
        };
        let ledger = Ledger::new(limits);
        Self {
            stored: ledger.encode(),
            ledger,
            limits,
            unstored: Vec::new(),
            sequence: 0,
            calls: BTreeMap::new(),
        }
    }

    fn store(&mut self) {
        self.stored = self.ledger.encode();
        self.unstored.clear();
    }

    fn read(&mut self, call: u8, version: Version) {
        self.sequence += 1;
        let observed_at = NOW + self.sequence * HOUR / 4;
        let text = |number: u8| format!("c{number}");
        let client = text(version.client);
        let name = format!("call{call}");
        let row = Call {
            id: Some(&name),
            client_id: Some(&client),
            center_id: Some("z"),
            start_time: Reading::Known(NOW - version.age * HOUR),
            call_type: Some("Incoming"),
            answered_by: version.operator,
            ring_ms: Reading::Known(version.rang * 1_000),
            talk_ms: Reading::Known(version.talk * 1_000),
            ..Call::default()
        };
        let mut builder = CallsBuilder::with_capacity(1);
        let before = self.calls.get(&call).copied();
        match before {
            None => builder.append(&row),
            Some(before) => {
                let client = text(before.version.client);
                let (rang, talk) = (before.version.rang * 1_000, before.version.talk * 1_000);
                let previous = Previous {
                    revision: before.revision,
                    client_id: Some(&client),
                    center_id: Some("z"),
                    call_type: Some("Incoming"),
                    answered_by: before.version.operator,
                    flagged: None,
                    durations: [None, Some(rang), None, Some(talk), None, None],
                    sequence: Some(before.sequence),
                    observed_at: Some(before.observed_at),
                    start_time: Some(NOW - before.version.age * HOUR),
                };
                builder.append_revised(&row, &previous);
            }
        }
        let head = BatchHead {
            account: "acme",
            first_sequence: self.sequence,
            observed_at,
        };
        let batch = builder.finish(&head).unwrap();
        let number = self.sequence.cast_unsigned();
        self.ledger.apply(number, Stream::Calls, &batch).unwrap();
        self.unstored.push((number, batch));
        let now = Counted {
            version,
            sequence: self.sequence,
            observed_at,
            revision: before.map_or(0, |before| before.revision + 1),
            short_abandon_ms: self.limits.short_abandon_ms,
            by_operator: self.limits.operators,
        };
        self.calls.insert(call, now);
    }

    fn start(&mut self, limits: Limits) {
        self.ledger = Ledger::decode(&self.stored, limits).unwrap();
        for (number, batch) in std::mem::take(&mut self.unstored) {
            self.ledger.apply(number, Stream::Calls, &batch).unwrap();
        }
        self.ledger.set_limits(limits);
        self.store();
        if !limits.operators {
            for call in self.calls.values_mut() {
                call.by_operator = false;
            }
        }
        self.limits = limits;
    }

    fn snapshot(&mut self) -> Snapshot {
        self.ledger.configure("acme", Api::HostedSuite);
        self.ledger.set_view(View::everything());
        self.ledger.snapshot()
    }
}

/// The sums of the counter and its corrections by some labels, without zeros.
fn shown(
    snapshot: &Snapshot,
    families: &[(FamilyId, &str)],
    by: &[&str],
) -> BTreeMap<Vec<String>, i128> {
    let mut sums = BTreeMap::new();
    for (family, count) in families {
        for block in snapshot.blocks(*family) {
            for row in 0..block.len() {
                let labels: BTreeMap<_, _> = pairs(block.labels.row(row)).collect();
                if labels.get("count").is_some_and(|label| label != count) {
                    continue;
                }
                let key = by.iter().map(|name| labels[name].to_string()).collect();
                let value = match block.values {
                    Values::Integers(values) => i128::from(values[row]),
                    Values::Amounts(values, _) => values[row],
                    _ => unreachable!("counters and corrections"),
                };
                *sums.entry(key).or_insert(0) += value;
            }
        }
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

/// The sum of each family of totals. Of a histogram, the count and the sum.
fn sums_of_families(snapshot: &Snapshot) -> Vec<i128> {
    let mut sums = Vec::new();
    for family in FamilyId::ALL {
        let (mut sum, mut count) = (0, 0);
        let mut seen = BTreeSet::new();
        for block in snapshot.blocks(*family) {
            for row in 0..block.len() {
                let labels = block.labels.row(row).to_owned();
                assert!(seen.insert(labels), "a series twice");
                match block.values {
                    Values::Integers(values) => sum += i128::from(values[row]),
                    Values::Amounts(values, _) => sum += values[row],
                    Values::Histograms(column) => {
                        let row = column.row(row).unwrap();
                        sum += row.sum_ms;
                        count += row.count();
                    }
                    Values::Floats(_) => {}
                }
            }
        }
        sums.extend([sum, count.into()]);
    }
    sums
}

fn sums(calls: impl Iterator<Item = (Vec<String>, i128)>) -> BTreeMap<Vec<String>, i128> {
    let mut sums = BTreeMap::new();
    for (key, value) in calls {
        *sums.entry(key).or_insert(0) += value;
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

fn check(world: &mut World) {
    let snapshot = world.snapshot();
    let calls: Vec<Counted> = world.calls.values().copied().collect();
    let families = [
        (FamilyId::CallsAbandoned, "abandoned"),
        (FamilyId::CallCorrectionsCalls, "abandoned"),
    ];
    let abandoned = |call: &Counted| {
        let version = call.version;
        let unanswered = version.operator.is_none() && version.talk == 0;
        unanswered && version.rang * 1_000 > call.short_abandon_ms
    };
    let truth = sums(
        calls
            .iter()
            .filter(|call| abandoned(call))
            .map(|_| (vec![], 1)),
    );
    assert_eq!(shown(&snapshot, &families, &[]), truth, "abandoned");
    let operators = |talk: bool| {
        let calls = calls.iter().filter(|call| call.by_operator);
        sums(calls.filter_map(move |call| {
            let units = if talk { call.version.talk * 1_000 } else { 1 };
            Some((vec![call.version.operator?.to_owned()], units.into()))
        }))
    };
    let families = [
        (FamilyId::OperatorCalls, ""),
        (FamilyId::OperatorCorrectionsCalls, ""),
    ];
    // With a cap, some operators are counted together.
    let by_name = |sums: BTreeMap<Vec<String>, i128>| sums.values().sum::<i128>();
    let counted = shown(&snapshot, &families, &["answered_by"]);
    assert!(counted.values().all(|calls| *calls > 0), "{counted:?}");
    assert_eq!(by_name(counted), by_name(operators(false)), "operators");
    let families = [
        (FamilyId::OperatorTalk, ""),
        (FamilyId::OperatorCorrectionsSeconds, ""),
    ];
    let counted = shown(&snapshot, &families, &["answered_by"]);
    assert_eq!(by_name(counted), by_name(operators(true)), "talk");
    // No label set has a number of calls below 0: an edit corrects where the call was counted.
    let families = [
        (FamilyId::Calls, "calls"),
        (FamilyId::CallCorrectionsCalls, "calls"),
    ];
    let by_client = shown(&snapshot, &families, &["client_id"]);
    assert_eq!(by_client.values().sum::<i128>(), calls.len() as i128);
    assert!(by_client.values().all(|calls| *calls > 0), "{by_client:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_takes_back_what_was_counted_whatever_the_settings_are_now(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Read(call, version) => world.read(call, version),
                Step::Settings(limits) => {
                    world.store();
                    world.start(limits);
                }
                Step::Restart => {
                    world.store();
                    let limits = world.limits;
                    let series = world.snapshot().series();
                    world.start(limits);
                    prop_assert_eq!(world.snapshot().series(), series);
                }
                Step::Kill => {
                    let before = world.ledger.encode();
                    let limits = world.limits;
                    world.start(limits);
                    prop_assert_eq!(world.ledger.encode(), before);
                }
            }
            check(&mut world);
        }
    }

    /// Whatever labels are left out, and whether figures are by client or by center: no series is
    /// shown twice, and the sums of an account are the same.
    #[test]
    fn every_view_has_the_same_sums(reads in proptest::collection::vec((0_u8..8, 0_u8..4, 0_i64..40, any::<bool>()), 1..30)) {
        let mut world = World::new();
        for (call, client, rang, answered) in reads {
            let operator = answered.then_some("Eve");
            world.read(call, Version { client, rang, operator, talk: rang, age: 1 });
        }
        world.ledger.configure("acme", Api::HostedSuite);
        let mut before: Option<Vec<i128>> = None;
        for client_histograms in [false, true] {
            for left_out in [vec![], vec!["center_id"], vec!["direction"], vec!["center_id", "direction"]] {
                let mut view = View::everything();
                view.client_histograms = client_histograms;
                view.left_out = left_out;
                world.ledger.set_view(view);
                let now = sums_of_families(&world.ledger.snapshot());
                if let Some(before) = &before {
                    prop_assert_eq!(before, &now);
                }
                before = Some(now);
            }
        }
    }

    /// The page of usage shows a call in the hour in which it began by its last version.
    #[test]
    fn a_call_is_in_the_hour_of_its_last_version(reads in proptest::collection::vec((0_u8..6, 0_i64..40, -2_i64..30), 1..40)) {
        let mut world = World::new();
        for (call, rang, age) in reads {
            let version = Version { client: 1, rang, operator: None, talk: 0, age };
            world.read(call, version);
        }
        let mut truth: BTreeMap<i64, i64> = BTreeMap::new();
        for call in world.calls.values() {
            // A call that was read before it began is not drawn.
            let hour = NOW / HOUR - call.version.age;
            if hour <= call.observed_at / HOUR && call.version.rang > 5 {
                *truth.entry(hour).or_default() += 1;
            }
        }
        let snapshot = world.snapshot();
        let (_, hours) = snapshot.accounts().next().unwrap();
        let counted = |figures: &HourFigures| figures.abandoned;
        let shown: BTreeMap<i64, i64> = hours.iter().map(|(hour, figures)| (*hour, counted(figures))).filter(|(_, calls)| *calls != 0).collect();
        prop_assert_eq!(shown, truth);
    }
}

/// The limit on label sets was raised: an edit of a call that was folded corrects the folded ones.
#[test]
fn a_folded_call_is_corrected_where_it_was_counted() {
    let mut world = World::new();
    world.start(Limits {
        label_sets: 1,
        ..Limits::default()
    });
    let version = |client, talk| Version {
        client,
        rang: 1,
        operator: Some("Eve"),
        talk,
        age: 1,
    };
    world.read(1, version(1, 10));
    world.read(2, version(2, 10));
    world.start(Limits::default());
    world.read(3, version(2, 7));
    world.read(2, version(2, 4));
    let talk = |world: &mut World| {
        let corrections = [(FamilyId::CallCorrectionsSeconds, "")];
        let snapshot = world.snapshot();
        let counted = shown(&snapshot, &[(FamilyId::ClientTalk, "")], &["client_id"]);
        let corrected = shown(&snapshot, &corrections, &["client_id", "field"]);
        (counted, corrected)
    };
    let (counted, corrected) = talk(&mut world);
    let counted: Vec<_> = counted
        .into_iter()
        .map(|(key, sum)| (key[0].clone(), sum))
        .collect();
    assert_eq!(
        counted,
        [
            ("c1".into(), 10_000),
            ("c2".into(), 7_000),
            ("other".into(), 10_000)
        ]
    );
    let talk: Vec<_> = corrected
        .into_iter()
        .filter(|(key, _)| key[1] == "talk")
        .collect();
    assert_eq!(
        talk,
        [
            (vec!["c2".into(), "talk".into()], 4_000),
            (vec!["other".into(), "talk".into()], -10_000)
        ]
    );
}
