//! What it costs to keep up with an account: requests, bytes and CPU time in an hour.
//!
//! An hour is a minute here: polls come every second and today is read every 15 seconds, instead of
//! every minute and every 15 minutes. Calls come in at their real speed. Everything else is as by
//! default. One exporter for each number of calls a day, all at the same time, after their first
//! reading; the figures are means over nine hours (three without `CALLMETER_BENCH_FULL=1`).

#![expect(clippy::unwrap_used, reason = "a bench of what works")]
#![expect(clippy::cast_precision_loss, reason = "figures for reading")]

use std::process::Command;
use std::time::Duration;

use callmeter_simulator::{Options, Running, Simulator};
use callmeter_tests::{Exporter, Process, SuiteAccount, Usage, Web, World, callmeter};

/// The intervals of an hour, sixty times as fast.
const CALLS: &str = "{ every: 1s, audit: 15s, max_requests_per_minute: 100000 }";
const HOUR: Duration = Duration::from_mins(1);

#[tokio::main]
async fn main() {
    let filters: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    if !filters.is_empty()
        && !filters
            .iter()
            .any(|filter| "reading".contains(filter.as_str()))
    {
        return;
    }
    let hours = if std::env::var_os("CALLMETER_BENCH_FULL").is_some() {
        9
    } else {
        3
    };
    let mut accounts = Vec::new();
    for calls in [100, 1_000, 10_000, 100_000] {
        accounts.push(Account::start(calls).await);
    }
    for account in &accounts {
        account.is_read().await;
    }
    let before: Vec<Used> = accounts.iter().map(Account::used).collect();
    tokio::time::sleep(HOUR * hours).await;
    println!(
        "{:<40}fastest       │ slowest       │ median        │ mean          │ samples │ iters",
        "reading"
    );
    for (account, before) in accounts.into_iter().zip(before) {
        let used = account.used();
        let each = |figure: u64| figure as f64 / f64::from(hours);
        let cpu = used.process.cpu_since(&before.process) / hours;
        for (what, figure) in [
            (
                "requests an hour",
                format!("{:.0}", each(used.requests - before.requests)),
            ),
            (
                "bytes an hour",
                format!("{:.1} MB", each(used.bytes - before.bytes) / 1e6),
            ),
            ("CPU an hour", format!("{cpu:.2?}")),
            ("CPU a poll", format!("{:.2?}", cpu / 60)),
        ] {
            let name = format!("├─ {} calls a day, {what}", account.calls);
            println!(
                "{name:<40}{figure:<14}│ {figure:<14}│ {figure:<14}│ {figure:<14}│ 1       │ 1"
            );
        }
        account.end().await;
    }
}

/// A time zone in which it is five in the afternoon: many calls come, and audits read a long day.
fn zone_of_the_afternoon() -> String {
    let hour = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .hour();
    let ahead = (17 - i32::from(hour) + 12).rem_euclid(24) - 12;
    // The names of these zones have the opposite sign.
    format!("Etc/GMT{:+}", -ahead)
}

/// An exporter with one account.
struct Account {
    calls: u64,
    simulator: Running,
    exporter: Exporter,
    _world: World,
}

struct Used {
    process: Usage,
    requests: u64,
    bytes: u64,
}

impl Account {
    async fn start(calls: u64) -> Self {
        let simulator = Simulator::start(Options {
            calls_per_day: Some(calls),
            time_zone: zone_of_the_afternoon(),
            days: 6,
            ..Options::default()
        })
        .await
        .unwrap();
        let world = World::new();
        let password = &simulator.options().credentials.hostedsuite.password;
        let account = SuiteAccount::of("acme", &simulator).with("calls", CALLS);
        let config = world.configure(&[account.yaml(&world, password)], &[]);
        let mut command = Command::new(callmeter());
        command
            .args([
                "run",
                "--log.level=debug",
                "--web.listen-address=127.0.0.1:0",
            ])
            .arg(format!("--config.file={}", config.display()));
        let process = Process::start(&mut command, &world.path("log"));
        Self {
            calls,
            simulator,
            exporter: Exporter::adopt(process, Web::default()).await,
            _world: world,
        }
    }

    /// Waits until all days are read.
    async fn is_read(&self) {
        loop {
            let metrics = self.exporter.metrics().await;
            let is_known = metrics.count("callmeter_days_incomplete", &[]) == 1;
            if is_known && metrics.sum("callmeter_days_incomplete", &[]) == 0.0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn used(&self) -> Used {
        let log = self.exporter.log();
        let bytes = log.lines().filter_map(|line| {
            let (_, rest) = line.split_once(" bytes=")?;
            rest.split(' ').next()?.parse::<u64>().ok()
        });
        Used {
            process: self.exporter.process().usage(),
            requests: self.simulator.requests().to("calls"),
            bytes: bytes.sum(),
        }
    }

    async fn end(self) {
        assert!(self.exporter.terminate().success());
        self.simulator.stop().await;
    }
}
