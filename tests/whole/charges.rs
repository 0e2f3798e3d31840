//! What calls cost equals the simulator's ledger to the last 1e-5: across restarts, kills, edits
//! and changes of the deck.

use std::collections::BTreeMap;
use std::time::Duration;

use callmeter_simulator::{ChargeTruth, Edits, Faults, Options, Running, Simulator};
use callmeter_tests::{
    Exporter, PbxAccount, SuiteAccount, Web, World, callmeter, output, plugin, quoted,
};
use jiff::{Timestamp, ToSpan as _};

use crate::site::end;

/// Simulated seconds between two phases: some thirty calls.
const STEP: u32 = 4_000;
/// Phases; each has another deck.
const PHASES: i64 = 6;

/// What each call costs by each rule, by the deck of its last version.
pub(super) type Expected = BTreeMap<(String, String), ChargeTruth>;

/// Takes in the calls that are new or edited. Their charges are those of the deck as it is now.
pub(super) fn take_in(expected: &mut Expected, simulator: &Running) {
    for charge in simulator.charges() {
        let key = (charge.id.clone(), charge.rule.clone());
        let is_known = expected
            .get(&key)
            .is_some_and(|known| known.version == charge.version);
        if !is_known {
            expected.insert(key, charge);
        }
    }
}

/// Units of 10⁻⁵ and seconds of each client and rate type.
fn sums(expected: &Expected) -> BTreeMap<(String, String), (i64, i64)> {
    let mut sums = BTreeMap::new();
    for charge in expected.values() {
        if let Some(amount) = charge.amount {
            let key = (charge.client_id.clone(), charge.rate_type.to_lowercase());
            let sum: &mut (i64, i64) = sums.entry(key).or_default();
            sum.0 += amount;
            sum.1 += charge.billed_seconds;
        }
    }
    sums
}

/// What the program shows that the ledger does not, and the reverse.
pub(super) async fn differences(exporter: &Exporter, expected: &Expected) -> Vec<String> {
    let metrics = exporter.metrics().await;
    let mut differences = Vec::new();
    let mut total = (0, 0);
    for ((client, rate_type), sum) in sums(expected) {
        let labels = [
            format!("client_id=\"{client}\""),
            format!("rate_type=\"{rate_type}\""),
            "account=\"acme\"".to_owned(),
        ];
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let shown = |counter, corrections| {
            metrics.sum(counter, &labels) + metrics.sum(corrections, &labels)
        };
        let money = shown("callmeter_charges_total", "callmeter_charge_corrections");
        let seconds = shown(
            "callmeter_charged_seconds_total",
            "callmeter_charge_corrections_seconds",
        );
        #[expect(clippy::cast_possible_truncation, reason = "far below 2^53")]
        let shown = ((money * 100_000.0).round() as i64, seconds.round() as i64);
        if shown != sum {
            differences.push(format!("{client} {rate_type}: {shown:?}, not {sum:?}"));
        }
        total = (total.0 + sum.0, total.1 + sum.1);
    }
    let all = metrics.sum("callmeter_charges_total", &[])
        + metrics.sum("callmeter_charge_corrections", &[]);
    #[expect(clippy::cast_possible_truncation, reason = "far below 2^53")]
    let all = (all * 100_000.0).round() as i64;
    if all != total.0 {
        differences.push(format!("in total {all}, not {}", total.0));
    }
    differences
}

#[tokio::test(flavor = "multi_thread")]
async fn spend_is_the_ledgers_across_kills_edits_and_changes_of_the_deck() {
    // The simulated clock moves only between phases and stays behind the real one.
    let behind = (PHASES + 2) * i64::from(STEP);
    let simulator = Simulator::start(Options {
        start: Some(Timestamp::now() - behind.seconds()),
        calls_per_day: Some(700),
        days: 1,
        rates: 48,
        ..Options::default()
    })
    .await
    .unwrap();
    simulator.freeze(true);
    let world = World::new();
    let csv = world.path("csv");
    let accounts = [
        SuiteAccount::of("acme", &simulator).yaml(&world, "simulated"),
        PbxAccount::of("hq", &simulator).yaml(&world, "simulated"),
    ];
    let archive = output(
        "archive",
        &plugin("csv"),
        "charges",
        &format!(
            "{{ directory: {}, rotate: never }}",
            quoted(&csv.display().to_string())
        ),
    );
    let config = world.configure(&accounts, &[archive]);
    let text = std::fs::read_to_string(&config).unwrap();
    let charges = "charges:\n  - name: spend\n    account: acme\n    deck: hq\n    numbers: { country_code: \"1\" }\n";
    world.write("callmeter.yml", &format!("{charges}{text}"));
    let start =
        async |name: &str| Exporter::start(&config, &world.path(name), Web::default()).await;

    let mut expected = Expected::new();
    for phase in 0..PHASES {
        if phase == 1 {
            simulator
                .set_faults(Faults {
                    edits: Some(Edits {
                        rate: 1.0,
                        seed: 7,
                        within_seconds: 6_000,
                    }),
                    ..Faults::default()
                })
                .unwrap();
        }
        if phase > 0 {
            // All calls so far are charged; the next ones come after the deck was read.
            simulator.change_deck(40);
            let exporter = start("deck.log").await;
            exporter
                .until("the deck read", async |exporter| {
                    let polls = ["account=\"hq\"", "task=\"rates\""];
                    exporter
                        .metrics()
                        .await
                        .sum("callmeter_polls_total", &polls)
                        >= 2.0
                })
                .await;
            end(exporter);
        }
        simulator.advance(STEP).unwrap();
        take_in(&mut expected, &simulator);
        for life in 0..3_u64 {
            let process = Exporter::spawn(&config, &world.path("killed.log"), &Web::default());
            tokio::time::sleep(Duration::from_millis(150 + 250 * life)).await;
            process.kill(true);
        }
        let exporter = start("phase.log").await;
        exporter
            .until("charged", async |exporter| {
                differences(exporter, &expected).await.is_empty()
            })
            .await;
        // Nothing is charged again.
        let polls = ["account=\"acme\"", "task=\"calls\""];
        exporter
            .until("polled again", async |exporter| {
                exporter
                    .metrics()
                    .await
                    .sum("callmeter_polls_total", &polls)
                    >= 3.0
            })
            .await;
        assert_eq!(
            differences(&exporter, &expected).await,
            Vec::<String>::new()
        );
        end(exporter);
    }
    let charged = expected.values().filter(|charge| charge.amount.is_some());
    assert!(charged.count() > 50, "too few calls are charged");
    assert!(
        expected.values().any(|charge| charge.amount.is_none()),
        "every call is charged"
    );
    let exporter = start("last.log").await;
    let metrics = exporter.metrics().await;
    assert!(
        metrics.count("callmeter_charge_corrections", &[]) > 0,
        "no edit was charged"
    );
    assert!(metrics.sum("callmeter_calls_not_charged_total", &[]) > 0.0);
    exporter
        .until("delivered", async |exporter| {
            let metrics = exporter.metrics().await;
            let lag = "callmeter_output_lag_records";
            metrics.count(lag, &[]) == 1 && metrics.sum(lag, &[]) == 0.0
        })
        .await;
    end(exporter);
    assert_eq!(from_csv(&csv), sums_of_calls(&expected));

    // Rated again, every call costs what it was charged; by an empty deck, nothing.
    let again = rated_again(&config, &[]);
    assert_eq!(again["differences"], serde_json::json!([]));
    let mut total = 0;
    for group in again["groups"].as_array().unwrap() {
        assert_eq!(group["rated"], group["charged"]);
        #[expect(clippy::cast_possible_truncation, reason = "far below 2^53")]
        let units = (group["rated"].as_f64().unwrap() * 100_000.0).round() as i64;
        total += units;
    }
    assert_eq!(total, sums_of_calls(&expected).values().sum::<i64>());
    let deck = world.write("other.json", "[]");
    let deck = deck.display().to_string();
    let nothing = rated_again(&config, &["--deck", &deck, "--group", "day"]);
    let differences = nothing["differences"].as_array().unwrap();
    assert_eq!(differences.len(), sums_of_calls(&expected).len());
    assert_eq!(differences[0]["rated"], serde_json::Value::Null);
}

/// What `callmeter charges` says of all calls.
fn rated_again(config: &std::path::Path, flags: &[&str]) -> serde_json::Value {
    let output = std::process::Command::new(callmeter())
        .arg("charges")
        .arg(format!("--config.file={}", config.display()))
        .args(["--from=2020-01-01", "--to=2100-01-01", "--format=json"])
        .args(flags)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Units of 10⁻⁵ by call and rule, of those that are charged.
pub(super) fn sums_of_calls(expected: &Expected) -> BTreeMap<(String, String), i64> {
    let charged = expected.iter();
    charged
        .filter_map(|(key, charge)| Some((key.clone(), charge.amount?)))
        .collect()
}

/// The same from the last version of each charge in the CSV files.
pub(super) fn from_csv(directory: &std::path::Path) -> BTreeMap<(String, String), i64> {
    let mut charges = BTreeMap::new();
    let mut files: Vec<_> = walk(directory);
    files.sort();
    for file in files {
        let mut reader = csv::Reader::from_path(&file).unwrap();
        let header = reader.headers().unwrap().clone();
        let place = |name| header.iter().position(|title| title == name).unwrap();
        let [id, rule, amount] = ["call_id", "rule", "amount"].map(place);
        for row in reader.records() {
            let row = row.unwrap();
            let key = (row[id].to_owned(), row[rule].to_owned());
            match row[amount].parse::<f64>() {
                #[expect(clippy::cast_possible_truncation, reason = "far below 2^53")]
                Ok(units) => charges.insert(key, (units * 100_000.0).round() as i64),
                Err(_) => charges.remove(&key),
            };
        }
    }
    charges
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            files.push(path);
        }
    }
    files
}
