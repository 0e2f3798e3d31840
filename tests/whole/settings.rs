//! Settings that decide how calls are counted change while calls arrive and are edited, and
//! processes are killed: counters plus corrections are what the records say, each call by the
//! settings under which its last version was counted.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use callmeter_simulator::{Edits, Faults, Options, Simulator};
use callmeter_tests::{Exporter, Samples, SuiteAccount, Web, World, callmeter, published};
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;

use crate::site::end;

/// `short_abandon` in seconds, and `answered_by`.
const PHASES: [(i64, bool); 5] = [(30, false), (5, true), (12, true), (5, false), (8, true)];
/// The simulated seconds between two phases.
const STEP: u32 = 9_000;

/// The records of a stream, as `export` writes them.
fn export(world: &World, flags: &[&str]) -> String {
    let now = Timestamp::now();
    let output = Command::new(callmeter())
        .arg("export")
        .arg(format!(
            "--config.file={}",
            world.path("callmeter.yml").display()
        ))
        .arg(format!("--from={}", now - 140.hours()))
        .arg(format!("--to={now}"))
        .args(flags)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What must be counted: abandoned calls, and the calls of each operator.
#[derive(Debug, Default, PartialEq)]
struct Counted {
    abandoned: i64,
    operators: BTreeMap<String, i64>,
}

/// The truth by the records. `ends` has the last `sequence` of each phase.
fn truth(records: &str, ends: &[i64]) -> Counted {
    let mut last: BTreeMap<String, Value> = BTreeMap::new();
    for line in records.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let id = record["id"].as_str().unwrap().to_owned();
        let newer = last.get(&id).is_none_or(|known| {
            known["sequence"].as_i64().unwrap() < record["sequence"].as_i64().unwrap()
        });
        if newer {
            last.insert(id, record);
        }
    }
    // Names are forgotten when a phase does not count them.
    let mut off = PHASES.iter().take(ends.len());
    let operators_from = off.rposition(|(_, operators)| !operators);
    let mut counted = Counted::default();
    for record in last.values() {
        let sequence = record["sequence"].as_i64().unwrap();
        let phase = ends.iter().position(|end| sequence <= *end).unwrap();
        let operator = record["answered_by"]
            .as_str()
            .filter(|name| !name.is_empty());
        let talk = record["talk_ms"].as_i64().unwrap();
        let rang = record["ring_ms"].as_i64().unwrap();
        if operator.is_none() && talk == 0 && rang > PHASES[phase].0 * 1_000 {
            counted.abandoned += 1;
        }
        if let Some(operator) = operator.filter(|_| operators_from.is_none_or(|off| phase > off)) {
            *counted.operators.entry(operator.to_owned()).or_default() += 1;
        }
    }
    counted
}

#[expect(clippy::cast_possible_truncation, reason = "counts")]
fn shown(samples: &Samples) -> Counted {
    let abandoned = samples.sum("callmeter_calls_abandoned_total", &[])
        + samples.sum("callmeter_call_corrections_calls", &["count=\"abandoned\""]);
    let mut operators = BTreeMap::new();
    for family in [
        "callmeter_operator_calls_total",
        "callmeter_operator_corrections_calls",
    ] {
        for (series, value) in samples.of(family, &[]) {
            let (_, name) = series.split_once("answered_by=\"").unwrap();
            let name = name.split('"').next().unwrap();
            *operators.entry(name.to_owned()).or_default() += value as i64;
        }
    }
    operators.retain(|_, calls| *calls != 0);
    Counted {
        abandoned: abandoned as i64,
        operators,
    }
}

fn configure(
    world: &World,
    simulator: &callmeter_simulator::Running,
    (short_abandon, answered_by): (i64, bool),
) {
    let account = SuiteAccount::of("acme", simulator)
        .calls("every: 1s, lookback: 4d, settle: 0s, page_size: 50")
        .yaml(world, "simulated");
    let config = world.configure(&[account], &[]);
    let text = std::fs::read_to_string(&config).unwrap();
    let metrics =
        format!("metrics: {{ short_abandon: {short_abandon}s, answered_by: {answered_by} }}\n");
    world.write("callmeter.yml", &format!("{metrics}{text}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_change_and_edits_take_back_what_was_counted() {
    let behind = i64::try_from(PHASES.len() + 1).unwrap() * i64::from(STEP);
    let simulator = Simulator::start(Options {
        start: Some(Timestamp::now() - behind.seconds()),
        calls_per_day: Some(900),
        days: 1,
        rates: 10,
        ..Options::default()
    })
    .await
    .unwrap();
    simulator.freeze(true);
    simulator
        .set_faults(Faults {
            edits: Some(Edits {
                rate: 0.7,
                seed: 7,
                within_seconds: 20_000,
            }),
            ..Faults::default()
        })
        .unwrap();
    let world = World::new();
    let config = world.path("callmeter.yml");
    let mut ends: Vec<i64> = Vec::new();
    for (phase, settings) in PHASES.into_iter().enumerate() {
        simulator.advance(STEP).unwrap();
        configure(&world, &simulator, settings);
        // The settings hold from the first call on, also if the process is killed at once.
        let process = Exporter::spawn(&config, &world.path("killed.log"), &Web::default());
        tokio::time::sleep(Duration::from_millis(900)).await;
        process.kill(true);
        let exporter = Exporter::start(&config, &world.path("callmeter.log"), Web::default()).await;
        let ledger = simulator.ledger(&callmeter_simulator::LedgerQuery::default());
        let without_abandoned = |sums| callmeter_simulator::Sums {
            abandoned: 0,
            ..published(sums)
        };
        exporter
            .until("counted", async |exporter| {
                let totals = exporter.metrics().await.totals(&["account=\"acme\""]);
                without_abandoned(totals) == without_abandoned(ledger.total)
            })
            .await;
        let samples = exporter.metrics().await;
        end(exporter);
        let records = export(&world, &["--format=ndjson"]);
        let sequences = records.lines().map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            record["sequence"].as_i64().unwrap()
        });
        ends.push(sequences.max().unwrap());
        assert_eq!(shown(&samples), truth(&records, &ends), "phase {phase}");
        if settings.1 {
            assert!(!shown(&samples).operators.is_empty());
        }
    }
    let records = export(&world, &["--format=ndjson"]);
    assert!(
        records.contains("\"change\":\"revised\""),
        "no call was edited"
    );
    assert_eq!(
        history_end(
            &export(&world, &["--format=openmetrics"]),
            "callmeter_calls_abandoned_total"
        ),
        truth(&records, &ends).abandoned,
        "a history ends with the totals, edits included"
    );
}

/// The sum of the last samples of a family.
fn history_end(text: &str, family: &str) -> i64 {
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with(family)) {
        let mut parts = line.rsplitn(3, ' ');
        let (_, value, series) = (parts.next(), parts.next(), parts.next());
        last.insert(series.unwrap(), value.unwrap().parse().unwrap());
    }
    last.values().sum()
}
