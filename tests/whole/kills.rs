//! SIGKILL at any moment loses nothing and counts nothing twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use callmeter_simulator::{LedgerQuery, Options, Simulator};
use callmeter_tests::{
    Exporter, SuiteAccount, Web, World, csv_rows_so_far, differences, output, plugin, quoted,
};
use jiff::{Timestamp, ToSpan as _};

use crate::receiver::{Post, Receiver};

/// How often the program is killed.
const KILLS: u32 = 100;
/// Simulated seconds between two starts: about twenty calls.
const STEP: u32 = 3_000;

/// The longest time from a start to its kill.
const LONGEST_LIFE: Duration = Duration::from_secs(20);

/// The account, sequence and revision of a record. No output may have two different records of one.
pub(super) type Place = (String, String, String);

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_kills_lose_nothing_and_count_nothing_twice() {
    // The simulated clock moves only between two starts and stays behind the real one.
    let behind = i64::from(KILLS + 4) * i64::from(STEP);
    let simulator = Simulator::start(Options {
        start: Some(Timestamp::now() - behind.seconds()),
        calls_per_day: Some(700),
        days: 1,
        rates: 10,
        ..Options::default()
    })
    .await
    .unwrap();
    simulator.freeze(true);
    let receiver = Receiver::start(|_| {
        // A slow response, so that some kills come between a post and its acknowledgement.
        std::thread::sleep(Duration::from_millis(15));
        (StatusCode::NO_CONTENT, String::new())
    })
    .await;
    let world = World::new();
    let csv = world.path("csv");
    world.write(
        "webhook.secret",
        "whsec_bm90LWEtc2VjcmV0LW9mLWFueWJvZHktMDEyMzQ1Njc=",
    );
    let account = SuiteAccount::of("acme", &simulator)
        .calls("every: 1s, lookback: 5d, settle: 0s, page_size: 500");
    let config = world.configure(
        &[account.yaml(&world, "simulated")],
        &[
            output(
                "archive",
                &plugin("csv"),
                "calls",
                &format!(
                    "{{ directory: {}, rotate: never, max_bytes: 40KiB }}",
                    quoted(&csv.display().to_string())
                ),
            ),
            output(
                "crm",
                &plugin("webhook"),
                "calls",
                &format!(
                    "{{ url: \"{}\", secret_file: webhook.secret, batch: 5 }}",
                    receiver.url()
                ),
            ),
        ],
    );

    // The first run catches up. The second one measures the time from start to the last post.
    let mut whole = Duration::MAX;
    for name in ["first.log", "second.log"] {
        let calls = truth_of(&simulator).ids.len();
        let begun = Instant::now();
        let life = Exporter::start(&config, &world.path(name), Web::default()).await;
        life.until("posted", async |_| records(&receiver.posts()) == calls)
            .await;
        whole = begun.elapsed();
        delivered(&life, truth_of(&simulator).total.calls).await;
        assert!(life.terminate().success());
        simulator.advance(STEP).unwrap();
    }

    let mut finished = BTreeMap::new();
    let mut delivering = 0;
    for kill in 0..KILLS {
        simulator.advance(STEP).unwrap();
        let posts = receiver.posts().len();
        let log = world.path("killed.log");
        let process = Exporter::spawn(&config, &log, &Web::default());
        tokio::time::sleep(random_share(whole + whole / 4)).await;
        // Every other kill leaves the children alive, as the kernel's out-of-memory killer does.
        process.kill(kill % 2 == 1);
        finished = still_as_they_were(&csv, finished, kill);
        // The machine may be slower by now: kills that come too early prove little.
        if receiver.posts().len() > posts {
            delivering += 1;
            whole = whole.mul_f64(0.97);
        } else {
            whole = whole.mul_f64(1.1).min(LONGEST_LIFE);
        }
    }
    // Otherwise the kills came too early to prove anything.
    assert!(delivering >= KILLS / 5, "only {delivering} lives delivered");

    simulator.advance(STEP).unwrap();
    let last = Exporter::start(&config, &world.path("last.log"), Web::default()).await;
    let truth = truth_of(&simulator);
    delivered(&last, truth.total.calls).await;
    // What is appended is not at once shown as waiting for the outputs.
    let ids: BTreeSet<&str> = truth.ids.iter().map(String::as_str).collect();
    last.until("written and posted", async |_| {
        csv_rows_so_far(&csv, "").len() >= ids.len()
            && posted_ids(&receiver.posts()).len() >= ids.len()
    })
    .await;
    let metrics = last.metrics().await;
    assert_eq!(differences(&metrics, "acme", &truth), Vec::<String>::new());
    let log = last.log();
    assert!(last.terminate().success(), "{log}");
    still_as_they_were(&csv, finished, KILLS);

    let rows = rows(&csv);
    let written: BTreeSet<&str> = rows.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(written, ids, "ids in the CSV files");
    let places: BTreeSet<&Place> = rows.iter().map(|(place, _)| place).collect();
    // The output knows which batches it has written, so even a replayed one is not written twice.
    assert_eq!(
        rows.len(),
        places.len(),
        "rows are written twice in the CSV files"
    );
    assert_eq!(rows.len(), ids.len());

    posted(&receiver.posts(), &ids);
    let verify = std::process::Command::new(callmeter_tests::callmeter())
        .args(["journal", "verify"])
        .arg(format!("--config.file={}", config.display()))
        .output()
        .unwrap();
    assert!(verify.status.success(), "{verify:?}");
    simulator.stop().await;
}

fn truth_of(simulator: &callmeter_simulator::Running) -> callmeter_simulator::Ledger {
    simulator.ledger(&LedgerQuery::default())
}

/// Waits until this number of calls is counted and all of them are delivered.
async fn delivered(exporter: &Exporter, calls: u64) {
    exporter
        .until("delivered", async |exporter| {
            let metrics = exporter.metrics().await;
            let lag = "callmeter_output_lag_records";
            metrics.totals(&["account=\"acme\""]).calls == calls
                && ["archive", "crm"].iter().all(|output| {
                    let label = format!("output=\"{output}\"");
                    metrics.count(lag, &[&label]) == 1 && metrics.sum(lag, &[&label]) == 0.0
                })
        })
        .await;
}

/// A random part of a duration, from the random seed of the standard library's hash.
fn random_share(most: Duration) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one(0_u8);
    most.mul_f64(f64::from(u32::try_from(random >> 32).unwrap()) / f64::from(u32::MAX))
}

/// Checks that files finished before the kill are unchanged; returns those that are finished now.
fn still_as_they_were(
    csv: &Path,
    before: BTreeMap<String, Vec<u8>>,
    kill: u32,
) -> BTreeMap<String, Vec<u8>> {
    let mut now = BTreeMap::new();
    for entry in std::fs::read_dir(csv).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if Path::new(&name).extension().is_some_and(|end| end == "csv") {
            now.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    for (name, content) in before {
        assert_eq!(
            now.get(&name),
            Some(&content),
            "kill {kill} changed the finished file {name}"
        );
    }
    now
}

/// All rows of all files, which have to be valid to the last byte.
pub(super) fn rows(csv: &Path) -> Vec<(Place, String)> {
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(csv).unwrap() {
        let path = entry.unwrap().path();
        let end = path.extension().and_then(|end| end.to_str());
        if !matches!(end, Some("csv" | "partial")) {
            continue;
        }
        let content = std::fs::read(&path).unwrap();
        assert!(content.ends_with(b"\n"), "{} is torn", path.display());
        let mut reader = csv::Reader::from_reader(content.as_slice());
        let headers = reader.headers().unwrap().clone();
        let column = |name: &str| headers.iter().position(|known| known == name).unwrap();
        let [account, sequence, revision, id] =
            ["account", "sequence", "revision", "id"].map(column);
        for row in reader.records() {
            let row = row.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let place = (
                row[account].to_owned(),
                row[sequence].to_owned(),
                row[revision].to_owned(),
            );
            rows.push((place, row[id].to_owned()));
        }
    }
    rows
}

/// How many records the posts hold.
fn records(posts: &[Post]) -> usize {
    let records = posts.iter().map(|post| {
        let body: serde_json::Value = serde_json::from_str(&post.body).unwrap();
        body["data"].as_array().unwrap().len()
    });
    records.sum()
}

/// The ids of all records that were posted.
fn posted_ids(posts: &[Post]) -> BTreeSet<String> {
    let bodies = posts.iter();
    let bodies = bodies.map(|post| serde_json::from_str::<serde_json::Value>(&post.body).unwrap());
    let ids = |body: serde_json::Value| -> Vec<String> {
        let records = body["data"].as_array().unwrap().iter();
        records
            .map(|record| record["id"].as_str().unwrap().to_owned())
            .collect()
    };
    bodies.flat_map(ids).collect()
}

/// Checks that every id was posted, and that repeated posts have the same id and content.
fn posted(posts: &[Post], ids: &BTreeSet<&str>) {
    let mut bodies: BTreeMap<&str, &str> = BTreeMap::new();
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for post in posts {
        let webhook_id = post.headers["webhook-id"].as_str();
        let idempotency_key = post.headers["idempotency-key"].as_str();
        assert_eq!(webhook_id, idempotency_key);
        let before = bodies.insert(webhook_id, &post.body);
        assert!(
            before.is_none_or(|before| before == post.body),
            "two contents under the id {webhook_id}"
        );
        let body: serde_json::Value = serde_json::from_str(&post.body).unwrap();
        for record in body["data"].as_array().unwrap() {
            let id = record["id"].as_str().unwrap().to_owned();
            let before = seen.insert(id.clone(), webhook_id);
            assert!(
                before.is_none_or(|before| before == webhook_id),
                "{id} was posted under two ids"
            );
        }
    }
    let seen: BTreeSet<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(&seen, ids, "ids at the receiver");
    println!(
        "{} posts, {} of them repeated",
        posts.len(),
        posts.len() - bodies.len()
    );
}
