//! A backup of the journal while callmeter runs, and what a restored journal does.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use callmeter_simulator::{LedgerQuery, Options};
use callmeter_tests::{Exporter, callmeter, csv_rows_so_far, output, plugin, published, quoted};

use crate::site::{Site, end};

const ACME: &str = "account=\"acme\"";

fn backup(config: &Path, file: &Path) -> Output {
    Command::new(callmeter())
        .args(["journal", "backup"])
        .arg(format!("--config.file={}", config.display()))
        .arg(file)
        .output()
        .unwrap()
}

/// How often each call is in the CSV files.
fn written(directory: &Path) -> BTreeMap<String, u32> {
    let mut calls = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        // `.csv.partial` while it is written.
        if !path.to_string_lossy().contains(".csv") {
            continue;
        }
        let mut reader = csv::Reader::from_path(path).unwrap();
        let headers = reader.headers().unwrap().clone();
        let id = headers.iter().position(|name| name == "id").unwrap();
        for row in reader.records() {
            *calls.entry(row.unwrap()[id].to_owned()).or_default() += 1;
        }
    }
    calls
}

async fn complete(exporter: &Exporter, site: &Site) {
    exporter
        .until("counted and delivered", async |exporter| {
            let truth = site.simulator.ledger(&LedgerQuery::default());
            let metrics = exporter.metrics().await;
            metrics.totals(&[ACME]) == published(truth.total)
                && metrics.sum("callmeter_output_lag_records", &["archive"]) == 0.0
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_continues_from_its_own_state() {
    // Calls go on: a day in some minutes.
    let site = Site::new(Options {
        calls_per_day: Some(20_000),
        days: 1,
        speed: 60.0,
        ..Options::default()
    })
    .await;
    let account = site.suite("acme").yaml(&site.world, "simulated");
    let csv = site.world.path("csv");
    let settings = format!("{{ directory: {} }}", quoted(&csv.display().to_string()));
    let archive = output("archive", &plugin("csv"), "calls", &settings);
    let config = site.world.configure(&[account], &[archive]);
    let exporter = site.start().await;
    exporter
        .until("some are counted", async |exporter| {
            exporter.metrics().await.totals(&[ACME]).calls > 1000
        })
        .await;

    // While it writes.
    let copy = site.world.path("copy.db");
    let done = backup(&config, &copy);
    assert!(done.status.success(), "{done:?}");
    let at_backup = exporter.metrics().await.totals(&[ACME]).calls;
    let mode = std::fs::metadata(&copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let verified = Command::new(callmeter())
        .args(["journal", "verify", "--journal"])
        .arg(&copy)
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}");
    // Nothing is replaced, and nothing unfinished is left.
    let again = backup(&config, &copy);
    assert_eq!(again.status.code(), Some(4));
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(said.contains("exists already"), "{said}");
    assert!(!site.world.path("copy.db.partial").exists());

    exporter
        .until("more are counted", async |exporter| {
            exporter.metrics().await.totals(&[ACME]).calls > at_backup + 20
        })
        .await;
    end(exporter);

    // Restore, as the documentation says.
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        // A clean end leaves only the first.
        let _absent = std::fs::remove_file(site.world.path(name));
    }
    std::fs::rename(&copy, site.world.path("journal.db")).unwrap();
    let exporter = site.start().await;
    site.simulator.freeze(true);
    complete(&exporter, &site).await;
    let truth = site.simulator.ledger(&LedgerQuery::default());
    exporter
        .until("written", async |_| {
            let rows = csv_rows_so_far(&csv, "");
            let ids: BTreeSet<&str> = rows.iter().map(|row| row["id"].as_str()).collect();
            truth.ids.iter().all(|id| ids.contains(id.as_str()))
        })
        .await;
    end(exporter);
    let calls = written(&csv);
    let missing = truth.ids.iter().filter(|id| !calls.contains_key(*id));
    assert_eq!(missing.count(), 0, "every call is in the files");
    assert!(
        calls.values().any(|times| *times > 1),
        "calls that came after the backup are delivered again"
    );
}
