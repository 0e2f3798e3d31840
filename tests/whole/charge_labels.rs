//! Charges while the cap on label sets is low, is raised, and is lowered again.

use std::collections::{BTreeMap, BTreeSet};

use callmeter_simulator::{ChargeTruth, Edits, Faults, Options, Simulator};
use callmeter_tests::{Exporter, PbxAccount, SuiteAccount, Web, World, wednesday_noon_before};
use jiff::{Timestamp, ToSpan as _};

use crate::charges::{Expected, take_in};
use crate::site::end;

/// Simulated seconds of a phase: some fifty calls.
const STEP: u32 = 6_000;

/// Counters and corrections of charges, in units of 10⁻⁵.
async fn money(exporter: &Exporter, labels: &[&str]) -> i64 {
    let metrics = exporter.metrics().await;
    let sum = metrics.sum("callmeter_charges_total", labels)
        + metrics.sum("callmeter_charge_corrections", labels);
    #[expect(clippy::cast_possible_truncation, reason = "far below 2^53")]
    let units = (sum * 100_000.0).round() as i64;
    units
}

/// Client and rate type.
type Labels = (String, String);

fn own(charge: &ChargeTruth) -> Labels {
    (charge.client_id.clone(), charge.rate_type.to_lowercase())
}

fn folded() -> Labels {
    ("other".to_owned(), "other".to_owned())
}

/// What differs between the series and these sums.
async fn wrong(exporter: &Exporter, sums: &BTreeMap<Labels, i64>) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((client, rate_type), sum) in sums {
        let labels = [
            format!("client_id=\"{client}\""),
            format!("rate_type=\"{rate_type}\""),
        ];
        let shown = money(exporter, &[&labels[0], &labels[1]]).await;
        if shown != *sum {
            wrong.push(format!("{client} {rate_type}: {shown}, not {sum}"));
        }
    }
    wrong
}

fn total(expected: &Expected) -> i64 {
    expected.values().filter_map(|charge| charge.amount).sum()
}

/// Calls that were counted together are edited after the cap was raised: each charge is taken back
/// from `other`, and the charges that are not edited stay there.
#[tokio::test(flavor = "multi_thread")]
async fn edits_take_charges_back_from_where_they_were_counted() {
    let simulator = Simulator::start(Options {
        // On other days of the week there are fewer calls to edit.
        start: Some(wednesday_noon_before(
            Timestamp::now() - (6 * i64::from(STEP)).seconds(),
        )),
        calls_per_day: Some(700),
        days: 1,
        rates: 48,
        ..Options::default()
    })
    .await
    .unwrap();
    simulator.freeze(true);
    simulator
        .set_faults(Faults {
            edits: Some(Edits {
                rate: 1.0,
                seed: 7,
                within_seconds: 80_000,
            }),
            ..Faults::default()
        })
        .unwrap();
    simulator.advance(STEP).unwrap();
    let world = World::new();
    let accounts = [
        SuiteAccount::of("acme", &simulator)
            .calls("every: 1s, lookback: 14d, settle: 0s, page_size: 50")
            .yaml(&world, "simulated"),
        PbxAccount::of("hq", &simulator).yaml(&world, "simulated"),
    ];
    let config = world.configure(&accounts, &[]);
    let text = std::fs::read_to_string(&config).unwrap();
    let configure = |cap: u32, entry: &str| {
        let charges = format!(
            "charges: [{{ name: {entry}, account: acme, deck: hq, numbers: {{ country_code: \"1\" }} }}]"
        );
        let metrics = format!("metrics: {{ max_label_sets: {cap} }}");
        world.write("callmeter.yml", &format!("{charges}\n{metrics}\n{text}"));
    };
    let log = world.path("callmeter.log");
    let start = async |cap: u32, entry: &str| {
        configure(cap, entry);
        Exporter::start(&config, &log, Web::default()).await
    };
    let mut expected = Expected::new();

    let exporter = start(2, "spend").await;
    take_in(&mut expected, &simulator);
    let before = expected.clone();
    let all = total(&expected);
    exporter
        .until("charged", async |exporter| {
            money(exporter, &[]).await == all
        })
        .await;
    // Which label sets have series of their own now.
    let mut apart = BTreeSet::new();
    for labels in before.values().map(own).collect::<BTreeSet<_>>() {
        let client = format!("client_id=\"{}\"", labels.0);
        let rate_type = format!("rate_type=\"{}\"", labels.1);
        let series = [&*client, &*rate_type];
        let metrics = exporter.metrics().await;
        if metrics.count("callmeter_charges_total", &series) > 0 {
            apart.insert(labels);
        }
    }
    assert_eq!(apart.len(), 2);
    end(exporter);

    // Many of these calls are edited, and new ones come.
    let exporter = start(20_000, "cost").await;
    for _ in 0..3 {
        simulator.advance(STEP).unwrap();
        take_in(&mut expected, &simulator);
        let all = total(&expected);
        exporter
            .until("charged", async |exporter| {
                money(exporter, &[]).await == all
            })
            .await;
    }
    // Killed while it charges, and with another name of the entry, it counts the same.
    end(exporter);
    simulator.advance(STEP / 2).unwrap();
    take_in(&mut expected, &simulator);
    for life in 0..3_u64 {
        let process = Exporter::spawn(&config, &log, &Web::default());
        tokio::time::sleep(std::time::Duration::from_millis(200 + 200 * life)).await;
        process.kill(true);
    }
    let exporter = start(20_000, "spend").await;
    let all = total(&expected);
    exporter
        .until("charged", async |exporter| {
            money(exporter, &[]).await == all
        })
        .await;
    let mut sums: BTreeMap<Labels, i64> = BTreeMap::from([(folded(), 0)]);
    let mut edited = 0;
    for (key, charge) in &expected {
        let Some(amount) = charge.amount else {
            continue;
        };
        let first = before.get(key);
        let is_first = first.is_some_and(|first| first.version == charge.version);
        edited += usize::from(first.is_some() && !is_first);
        let labels = own(charge);
        let place = if is_first && !apart.contains(&labels) {
            folded()
        } else {
            labels
        };
        *sums.entry(place).or_default() += amount;
    }
    assert!(
        edited > 20,
        "{edited} of {} charges were edited",
        before.len()
    );
    assert_eq!(wrong(&exporter, &sums).await, Vec::<String>::new());
    end(exporter);

    // Label sets that are known keep their series when the cap is lowered.
    let exporter = start(1, "spend").await;
    simulator.advance(STEP).unwrap();
    take_in(&mut expected, &simulator);
    let all = total(&expected);
    exporter
        .until("charged", async |exporter| {
            money(exporter, &[]).await == all
        })
        .await;
    end(exporter);
}
