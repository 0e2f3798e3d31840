//! How callmeter's cost grows with calls, series and accounts.
//!
//! Each step is ten times the previous one. It adds rows to the table of `cargo xtask bench`: CPU
//! time per call, scrape or poll, and memory or disk per unit. `CALLMETER_BENCH_FULL=1` adds the
//! largest steps (10 million calls, 1 million series, 1,000 accounts), which take 15 minutes and
//! several gigabytes of disk.

#![expect(clippy::unwrap_used, reason = "a bench of what works")]
#![expect(clippy::cast_precision_loss, reason = "figures for reading")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use callmeter_simulator::{LedgerQuery, Options, Running, Simulator};
use callmeter_tests::{
    Exporter, Process, SuiteAccount, Usage, Web, World, callmeter, output, plugin,
};

/// A process that uses no more than this in [`QUIET`] is idle.
const REST: Duration = Duration::from_millis(10);
const QUIET: Duration = Duration::from_millis(700);

#[tokio::main]
async fn main() {
    let filters: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let wanted =
        |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter));
    let steps = if std::env::var_os("CALLMETER_BENCH_FULL").is_some() {
        4
    } else {
        3
    };
    head();
    if wanted("growth/calls") {
        group("calls");
        for calls in [10_000, 100_000, 1_000_000, 10_000_000]
            .into_iter()
            .take(steps)
        {
            by_calls(calls).await;
        }
    }
    if wanted("growth/series") {
        group("series");
        for clients in [8, 82, 820, 8_200].into_iter().take(steps) {
            by_series(clients).await;
        }
    }
    if wanted("growth/accounts") {
        group("accounts");
        for accounts in [1, 10, 100, 1_000].into_iter().take(steps) {
            by_accounts(accounts).await;
        }
    }
}

/// One account: a poll of all calls within the look-back, then a restart that finds them known.
async fn by_calls(calls: u64) {
    let simulator = simulator(calls, 200).await;
    let world = World::new();
    let account = account(&simulator, "acme", ONCE);
    let config = configure(&world, &simulator, &[account]);
    let begun = Instant::now();
    let exporter = run(&config, &world.path("log")).await;
    let used = at_rest(&exporter).await;
    let wall = begun.elapsed();
    check(&exporter, &simulator, 1).await;
    let name = format!("{calls} calls");
    row(
        &format!("{name}, to journal, metrics and CSV"),
        used.cpu,
        calls,
        &format!("{:.0} k/s", calls as f64 / wall.as_secs_f64() / 1e3),
    );
    note(
        &format!("{name}, memory at the most"),
        &mebibytes(used.peak),
    );
    assert!(exporter.terminate().success());
    // Closing has merged the write-ahead log into it.
    let journal = std::fs::metadata(world.path("journal.db")).unwrap().len();
    note(
        &format!("{name}, journal"),
        &format!("{:.0} B/call", journal as f64 / calls as f64),
    );
    // The first poll after a restart reads everything and finds nothing new.
    let exporter = run(&config, &world.path("log")).await;
    let again = at_rest(&exporter).await;
    check(&exporter, &simulator, 1).await;
    row(
        &format!("{name}, a start and all of them read again"),
        again.cpu,
        calls,
        "",
    );
    note(
        &format!("{name}, memory with all of them known"),
        &mebibytes(again.resident),
    );
    assert!(exporter.terminate().success());
    simulator.stop().await;
}

/// The cost of a scrape with many clients that have a few calls each.
async fn by_series(clients: u32) {
    let simulator = simulator(u64::from(clients) * 4, clients).await;
    let world = World::new();
    let account = account(&simulator, "acme", ONCE);
    let config = configure(&world, &simulator, &[account]);
    let exporter = run(&config, &world.path("log")).await;
    let before = at_rest(&exporter).await;
    let series = exporter.metrics().await.len() as u64;
    let name = format!("{series} series");
    note(
        &format!("{name}, memory at rest"),
        &mebibytes(before.resident),
    );
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()
        .unwrap();
    for (encoding, what) in [("identity", "a scrape"), ("gzip", "a scrape in gzip")] {
        let begun = exporter.process().usage();
        let mut scrapes = 0_u64;
        // CPU time is counted in steps of 10 ms: measure for long enough.
        while exporter.process().usage().cpu_since(&begun) < Duration::from_millis(400) {
            let request = client
                .get(exporter.url("/metrics"))
                .header("Accept-Encoding", encoding);
            let body = request.send().await.unwrap().bytes().await.unwrap();
            assert!(!body.is_empty());
            scrapes += 1;
        }
        let used = exporter.process().usage().cpu_since(&begun);
        let per_100k = used.as_secs_f64() * 1e3 / scrapes as f64 / (series as f64 / 1e5);
        row(
            &format!("{name}, {what}"),
            used,
            scrapes,
            &format!("{per_100k:.2} ms/100k"),
        );
    }
    let after = exporter.process().usage();
    note(
        &format!("{name}, memory that scrapes add"),
        &mebibytes(after.resident.saturating_sub(before.resident)),
    );
    assert!(exporter.terminate().success());
    simulator.stop().await;
}

/// Many accounts with a thousand calls each: the first polls, then polls that find nothing new.
async fn by_accounts(accounts: u64) {
    const CALLS: u64 = 1_000;
    const WATCHED: Duration = Duration::from_secs(30);
    let simulator = simulator(CALLS, 40).await;
    let world = World::new();
    let all: Vec<SuiteAccount> = (0..accounts)
        .map(|number| account(&simulator, &format!("account-{number}"), OFTEN))
        .collect();
    let config = configure(&world, &simulator, &all);
    let exporter = run(&config, &world.path("log")).await;
    // The accounts' first polls are spread over an interval.
    while counted(&exporter).await < truth(&simulator, accounts) {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    check(&exporter, &simulator, accounts).await;
    let used = exporter.process().usage();
    let name = format!("{accounts} accounts of {CALLS} calls");
    row(&format!("{name}, a call"), used.cpu, accounts * CALLS, "");
    note(
        &format!("{name}, memory at the most"),
        &mebibytes(used.peak),
    );
    let asked = simulator.requests().to("calls");
    tokio::time::sleep(WATCHED).await;
    let idle = exporter.process().usage().cpu_since(&used);
    let requests = simulator.requests().to("calls") - asked;
    row(
        &format!("{name}, a request without news"),
        idle,
        requests.max(1),
        &format!(
            "{:.2} % CPU",
            idle.as_secs_f64() / WATCHED.as_secs_f64() * 100.0
        ),
    );
    check(&exporter, &simulator, accounts).await;
    assert!(exporter.terminate().success());
    simulator.stop().await;
}

async fn simulator(calls: u64, clients: u32) -> Running {
    Simulator::start(Options {
        clients,
        calls: Some(calls),
        days: 28,
        ..Options::default()
    })
    .await
    .unwrap()
}

/// Polls once; all calls are within the look-back.
const ONCE: &str = "every: 1d, lookback: 30d";
/// Polls twice as often as most accounts.
const OFTEN: &str = "every: 30s, lookback: 2d, history: 30d";

fn account(simulator: &Running, name: &str, often: &str) -> SuiteAccount {
    let calls = format!(
        "{{ {often}, settle: 0s, page_size: 1000, max_rows: 10000000, max_pages: 100000, time_limit: 1d, max_requests_per_minute: 100000 }}"
    );
    SuiteAccount::of(name, simulator).with("calls", &calls)
}

fn configure(world: &World, simulator: &Running, accounts: &[SuiteAccount]) -> std::path::PathBuf {
    let password = &simulator.options().credentials.hostedsuite.password;
    let accounts: Vec<String> = accounts
        .iter()
        .map(|account| account.yaml(world, password))
        .collect();
    let file = callmeter_tests::quoted(&world.path("calls.csv").display().to_string());
    let csv = output(
        "csv",
        &plugin("csv"),
        "calls",
        &format!("{{ file: {file}, rotate: never }}"),
    );
    let config = world.configure(&accounts, &[format!("{csv}    isolation: none\n")]);
    let mut text = std::fs::read_to_string(&config).unwrap();
    // The most series: every histogram, also by client.
    text.push_str(
        "metrics: { max_label_sets: 1000000, client_histograms: true, \
         histograms: [answer, abandon, duration, talk, hold, transfer, work], \
         buckets: [1s, 2s, 5s, 10s, 15s, 20s, 30s, 1m, 2m, 3m, 5m, 10m, 30m, 1h] }\n",
    );
    std::fs::write(&config, text).unwrap();
    config
}

/// Starts callmeter with its default log level.
async fn run(config: &Path, log: &Path) -> Exporter {
    let mut command = Command::new(callmeter());
    command
        .arg("run")
        .arg(format!("--config.file={}", config.display()))
        .arg("--web.listen-address=127.0.0.1:0");
    Exporter::adopt(Process::start(&mut command, log), Web::default()).await
}

/// Waits until it is idle.
async fn at_rest(exporter: &Exporter) -> Usage {
    let mut before = exporter.process().usage();
    loop {
        tokio::time::sleep(QUIET).await;
        let now = exporter.process().usage();
        if now.cpu_since(&before) <= REST {
            return now;
        }
        before = now;
    }
}

async fn counted(exporter: &Exporter) -> f64 {
    exporter.metrics().await.sum("callmeter_calls_total", &[])
}

fn truth(simulator: &Running, accounts: u64) -> f64 {
    (simulator.ledger(&LedgerQuery::default()).total.calls * accounts) as f64
}

/// Checks that the measured work was done.
async fn check(exporter: &Exporter, simulator: &Running, accounts: u64) {
    let (counted, truth) = (counted(exporter).await, truth(simulator, accounts));
    assert!(
        (counted - truth).abs() < 0.5,
        "{counted} calls of {truth}:\n{}",
        exporter.log()
    );
}

// ---- rows in the format of the other benches

fn head() {
    println!(
        "{:<72}fastest       │ slowest       │ median        │ mean          │ samples │ iters",
        "growth"
    );
}

fn group(name: &str) {
    println!(
        "{:<72}              │               │               │               │         │",
        format!("├─ {name}")
    );
}

fn row(name: &str, used: Duration, units: u64, moves: &str) {
    let each = format!("{:.3?}", used / u32::try_from(units).unwrap());
    let name = format!("│  ├─ {name}");
    println!("{name:<72}{each:<14}│ {each:<14}│ {each:<14}│ {each:<14}│ 1       │ {units}");
    if !moves.is_empty() {
        println!(
            "{:<72}{moves:<14}│ {moves:<14}│ {moves:<14}│ {moves:<14}│",
            "│  │"
        );
    }
}

/// A value that is not a time.
fn note(name: &str, figure: &str) {
    let name = format!("│  ├─ {name}");
    println!("{name:<72}{figure:<14}│ {figure:<14}│ {figure:<14}│ {figure:<14}│ 1       │ 1");
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0)
}
