//! The commands that work on a journal, on one that callmeter has written.

use std::collections::BTreeSet;
use std::process::{Command, Output};
use std::time::Duration;

use callmeter_simulator::Options;
use callmeter_tests::{Exporter, Midday, callmeter, published};

use crate::site::{Site, end};

/// The account's label.
const ACME: &str = "account=\"acme\"";

/// Runs a command of the program.
fn run(line: &[&str]) -> Output {
    Command::new(callmeter()).args(line).output().unwrap()
}

/// Runs a command that has to succeed.
fn succeed(line: &[&str]) -> String {
    let output = run(line);
    assert!(output.status.success(), "{line:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_completes_the_journal_and_exports_hold_all_of_it() {
    let Midday { zone, today } = Midday::now();
    let site = Site::new(Options {
        time_zone: zone,
        calls: Some(600),
        days: 6,
        rates: 10,
        ..Options::default()
    })
    .await;
    let suite = site
        .suite("acme")
        .calls("every: 1s, lookback: 1d, settle: 0s, page_size: 100");
    let config = site.configure(&[suite], &[]);
    let config = format!("--config.file={}", config.display());
    let truth = site.truth();

    // The first exporter reads the lookback, no further.
    let exporter = site.start().await;
    exporter
        .until("polled", async |exporter| {
            exporter
                .metrics()
                .await
                .sum("callmeter_polls_total", &["acme", "task=\"calls\""])
                > 1.0
        })
        .await;
    let recent = exporter.metrics().await.totals(&[ACME]).calls;
    assert!(
        recent > 0 && recent < 600,
        "{recent} of 600 calls are recent"
    );

    // The running exporter reads the days itself.
    let from = format!("--from={}", today - jiff::Span::new().days(7));
    let to = format!("--to={}", today - jiff::Span::new().days(1));
    let backfill = ["backfill", &config, "--account=acme", &from, &to];
    let said = succeed(&backfill);
    // It has read yesterday.
    let before = "; 1 day had been read before (--again reads them again)";
    assert!(
        said.starts_with("6 days read: ") && said.contains(before),
        "{said}"
    );
    // A scrape while something is counted shows what was counted shortly before.
    exporter
        .until("all are counted", async |exporter| {
            exporter.metrics().await.totals(&[ACME]) == published(truth.total)
        })
        .await;
    let said = succeed(&backfill);
    let before = "; 7 days had been read before (--again reads them again)";
    assert!(
        said.starts_with("0 days read: 0 records") && said.contains(before),
        "{said}"
    );
    end(exporter);

    // Without an exporter, the command reads them.
    let asked_before = requests(&site);
    let again = ["backfill", &config, "--account=acme", &from, &to, "--again"];
    let said = succeed(&again);
    let result = "7 days read: ";
    assert!(
        said.starts_with(result) && said.contains(", 0 of them new"),
        "{said}"
    );
    let asked = requests(&site) - asked_before;
    assert!(asked >= 7, "{asked} requests for 7 days");
    // A second backfill requests nothing.
    succeed(&backfill);
    assert_eq!(requests(&site) - asked_before, asked);

    let exporter = site.start().await;
    // A series may be absent at first; it never appears with less than the journal holds.
    let restored = loop {
        let metrics = exporter.metrics().await;
        if metrics.count("callmeter_calls_total", &[ACME]) > 0 {
            break metrics.totals(&[ACME]);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(restored, published(truth.total));
    end(exporter);

    succeed(&["journal", "verify", &config]);
    succeed(&["journal", "stats", &config]);
    exports_hold_everything(&site, &config, &from, &truth);
}

/// The first poll reads the whole history; later ones read the lookback only.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_history_is_read_once() {
    let site = Site::new(Options {
        time_zone: Midday::now().zone,
        calls: Some(600),
        days: 20,
        ..Options::default()
    })
    .await;
    let suite = site
        .suite("acme")
        .calls("every: 1s, lookback: 1d, history: 21d, settle: 0s, page_size: 100");
    site.configure(&[suite], &[]);
    let exporter = site.start().await;
    let polls = async |exporter: &Exporter| {
        let labels = ["acme", "task=\"calls\""];
        exporter
            .metrics()
            .await
            .sum("callmeter_polls_total", &labels)
    };
    let truth = published(site.truth().total);
    exporter
        .until("counted", async |exporter| {
            exporter.metrics().await.totals(&[ACME]) == truth
        })
        .await;
    let polled = polls(&exporter).await;
    let asked = requests(&site);
    assert!(asked >= 20, "{asked} requests for 20 days");
    exporter
        .until("polled again", async |exporter| {
            polls(exporter).await >= polled + 2.0
        })
        .await;
    // Two days a poll. One poll may be under way.
    let again = requests(&site) - asked;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small count"
    )]
    let polls = (polls(&exporter).await - polled) as u64 + 1;
    assert!(
        again <= 4 * polls,
        "{again} requests in {polls} polls of a day's lookback"
    );
    end(exporter);
}

fn exports_hold_everything(
    site: &Site,
    config: &str,
    from: &str,
    truth: &callmeter_simulator::Ledger,
) {
    let to = "--to=2999-01-01";
    let export = |format: &str| {
        let file = site.world.path(format);
        let out = format!("--output={}", file.display());
        let mut line = vec!["export", config, from, to, &out];
        if format == "openmetrics" {
            line.push("--step=1h");
        }
        let format = format!("--format={format}");
        line.push(&format);
        succeed(&line);
        std::fs::read_to_string(file).unwrap()
    };
    let ids: BTreeSet<&str> = truth.ids.iter().map(String::as_str).collect();

    let text = export("csv");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let id = reader
        .headers()
        .unwrap()
        .iter()
        .position(|name| name == "id")
        .unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let exported: BTreeSet<&str> = rows.iter().map(|row| row.get(id).unwrap()).collect();
    assert_eq!(rows.len(), 600);
    assert_eq!(exported, ids);

    let text = export("ndjson");
    let exported: BTreeSet<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|record| record["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        exported.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        ids
    );
    assert!(text.starts_with(r#"{"account":"acme","sequence":1,"revision":0,"change":"new","#));

    // The last sample of each series is its total; their sum is the ledger's number of calls.
    let text = export("openmetrics");
    let mut last = std::collections::BTreeMap::new();
    for line in text
        .lines()
        .filter(|line| line.starts_with("callmeter_calls_total{"))
    {
        let (series, sample) = line.split_once("} ").unwrap();
        let value: u64 = sample.split(' ').next().unwrap().parse().unwrap();
        let before = last.insert(series.to_owned(), value).unwrap_or(0);
        assert!(before <= value, "a counter falls: {line}");
    }
    assert_eq!(last.values().sum::<u64>(), 600);
    assert!(text.ends_with("# EOF\n"));
}

/// Requests for pages of calls so far.
fn requests(site: &Site) -> u64 {
    site.simulator.requests().to("calls")
}

/// As `callmeter export … | head` does it.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_enough_is_no_failure() {
    let site = Site::with_calls(600).await;
    let config = site.configure(&[site.suite("acme")], &[]);
    let exporter = site.start().await;
    exporter
        .until("polled", async |exporter| {
            exporter.metrics().await.totals(&[ACME]).calls == 600
        })
        .await;
    end(exporter);
    let config = format!("--config.file={}", config.display());
    for line in [
        &[
            "export",
            &config,
            "--from=2020-01-01",
            "--to=2100-01-01",
            "--format=csv",
        ][..],
        &[
            "export",
            &config,
            "--from=2020-01-01",
            "--to=2100-01-01",
            "--format=ndjson",
        ],
        &["metrics", "--format=markdown"],
        &["completions", "bash"],
        &["journal", "stats", &config],
    ] {
        let mut child = Command::new(callmeter())
            .args(line)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Closed before it is read, so that what is written fails even if it is short.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.is_empty(),
            "{line:?}: {output:?}"
        );
    }
}
