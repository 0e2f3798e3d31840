//! The history that `callmeter export --format=openmetrics` writes, as Prometheus reads it.

use std::path::PathBuf;
use std::process::{Command, Output};

use callmeter_simulator::Options;
use callmeter_tests::{callmeter, system, wednesday_noon_before};
use jiff::{Timestamp, ToSpan as _};

use crate::server::Server;
use crate::site::{Site, end};

/// The most bytes of a history of 1,000 calls in five days with 40 clients.
const MOST: usize = 20_000_000;

/// Writes the history into a file, with flags of its own.
fn export(site: &Site, flags: &[&str]) -> PathBuf {
    let output = run_export(site, flags);
    assert!(output.status.success(), "{output:?}");
    site.world.path("history.om")
}

fn run_export(site: &Site, flags: &[&str]) -> Output {
    let file = site.world.path("history.om");
    let now = site.simulator.options().start.unwrap();
    Command::new(callmeter())
        .arg("export")
        .arg(format!(
            "--config.file={}",
            site.world.path("callmeter.yml").display()
        ))
        .args(["--format=openmetrics"])
        .arg(format!("--from={}", now - 140.hours()))
        .arg(format!("--to={now}"))
        .arg(format!("--output={}", file.display()))
        .args(flags)
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_small_and_its_increase_is_the_ledger() {
    // The size of a history depends on the days of the week in it.
    let site = Site::new(Options {
        start: Some(wednesday_noon_before(Timestamp::now())),
        calls: Some(1_000),
        days: 5,
        clients: 40,
        ..Options::default()
    })
    .await;
    let suite = site
        .suite("acme")
        .calls("every: 1s, lookback: 14d, settle: 0s, page_size: 500");
    site.configure(&[suite], &[]);
    let exporter = site.start().await;
    exporter
        .until("counted", async |exporter| {
            exporter.metrics().await.sum("callmeter_calls_total", &[]) >= 1_000.0
        })
        .await;
    end(exporter);
    let truth = site.truth();

    let refused = run_export(&site, &["--step=1ms"]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("shorter than 1s"), "{message}");
    let refused = run_export(&site, &["--account=amce"]);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("it has acme"), "{message}");

    let small = export(&site, &[]);
    let bytes = std::fs::metadata(&small).unwrap().len();
    assert!(usize::try_from(bytes).unwrap() <= MOST, "{bytes} bytes");
    let text = std::fs::read_to_string(&small).unwrap();
    assert!(!text.contains("_bucket"));
    // It begins with the first call, at 0.
    let first = text.lines().find(|line| !line.starts_with('#')).unwrap();
    assert_eq!(first.split(' ').rev().nth(1), Some("0"), "{first}");

    let whole = export(&site, &["--details", "--buckets", "--step=15m"]);
    let blocks = site.world.path("tsdb-history");
    let made = Command::new(system("promtool", "prometheus"))
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .arg(&whole)
        .arg(&blocks)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let text = std::fs::read_to_string(&whole).unwrap();
    let end_of_history = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit(' ').next())
        .max_by(|one, other| {
            let number = |text: &str| text.parse::<f64>().unwrap();
            number(one).total_cmp(&number(other))
        })
        .unwrap();

    let prometheus = system("prometheus", "prometheus");
    let server = Server::start(&prometheus, &site.world, "history", "  []\n", &[]);
    let increase = async |series: &str, by: &str| {
        let query = format!("sum{by}(increase({series}[9d]))");
        server.at(&query, end_of_history).await
    };
    callmeter_tests::until(
        "a first answer",
        async || {
            increase("callmeter_calls_total", "")
                .await
                .first()
                .map(|_| ())
        },
        async || server.log(),
    )
    .await;
    let check = async |series: &str, expected: u64| {
        let found = increase(series, "").await;
        let found = found.first().map_or(0.0, |(_, value)| *value);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let expected = expected as f64;
        assert!(
            (found - expected).abs() <= 1e-6 * expected.max(1.0),
            "{series}: {found} is not {expected}"
        );
    };
    let total = truth.total;
    check("callmeter_calls_total", 1_000).await;
    check("callmeter_calls_unanswered_total", total.unanswered).await;
    check("callmeter_calls_abandoned_total", total.abandoned).await;
    check("callmeter_calls_flagged_total", total.flagged).await;
    check(
        "callmeter_call_answer_seconds_count",
        1_000 - total.unanswered,
    )
    .await;
    for group in &truth.groups {
        let series = format!(
            "callmeter_calls_total{{client_id=\"{}\",direction=\"{}\"}}",
            group.client_id, group.direction
        );
        check(&series, group.sums.calls).await;
    }
    let talk = increase("callmeter_client_talk_seconds_total", "").await;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let expected = total.talk_ms as f64 / 1_000.0;
    assert!((talk[0].1 - expected).abs() < 1e-3, "{talk:?} {expected}");
}
