//! A program without work rests: to wake a thread costs more than most of what it then does.

use std::collections::BTreeMap;
use std::time::Duration;

use callmeter_tests::{output, plugin, quoted};

use crate::site::{Site, end};

/// How long the program is watched.
const WATCHED: Duration = Duration::from_secs(12);
/// The most often that a thread may wake in this time. A timer of the runtime may take two.
const WAKES: u64 = 6;

/// How often each thread of these processes has waited so far, by process, id and name.
fn waits(processes: &[i32]) -> BTreeMap<String, u64> {
    let mut waits = BTreeMap::new();
    for process in processes {
        for task in std::fs::read_dir(format!("/proc/{process}/task")).unwrap() {
            let task = task.unwrap().path();
            let read = |file: &str| std::fs::read_to_string(task.join(file));
            let (Ok(name), Ok(status)) = (read("comm"), read("status")) else {
                // It has ended.
                continue;
            };
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            let thread = format!("{} {}", task.display(), name.trim());
            waits.insert(thread, line.unwrap().trim().parse().unwrap());
        }
    }
    waits
}

#[tokio::test(flavor = "multi_thread")]
async fn no_thread_wakes_without_work_more_than_once_in_some_seconds() {
    let site = Site::with_calls(40).await;
    let account = site
        .suite("acme")
        .calls("every: 1h, lookback: 4d, settle: 0s")
        .with("balances", "{ every: 1h }");
    let directory = quoted(&site.world.path("csv").display().to_string());
    let csv = output(
        "archive",
        &plugin("csv"),
        "calls",
        &format!("{{ directory: {directory} }}"),
    );
    let account = account.yaml(&site.world, "simulated");
    site.world.configure(&[account], &[csv]);
    let exporter = site.start().await;
    exporter
        .until("delivered", async |exporter| {
            let metrics = exporter.metrics().await;
            metrics.sum("callmeter_output_records_delivered_total", &[]) >= 40.0
                && metrics.sum("callmeter_output_lag_records", &[]) == 0.0
        })
        .await;
    // What follows the delivery.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let own = exporter.process().pid().as_raw_nonzero().get();
    let mut processes: Vec<i32> = vec![own];
    let children = exporter.process().children();
    processes.extend(children.iter().map(|child| child.as_raw_nonzero().get()));
    let before = waits(&processes);
    tokio::time::sleep(WATCHED).await;
    let busy: Vec<_> = waits(&processes)
        .into_iter()
        .map(|(thread, waits)| {
            let woken = waits - before.get(&thread).copied().unwrap_or(0);
            (thread, woken)
        })
        .filter(|(_, woken)| *woken > WAKES)
        .collect();
    assert!(busy.is_empty(), "{busy:?}");
    end(exporter);
}
