//! A rate deck in a file that is missing, comes, and goes again.

use std::process::Command;

use callmeter_simulator::{Options, Simulator};
use callmeter_tests::{Exporter, SuiteAccount, Web, World, callmeter};
use jiff::{Timestamp, ToSpan as _};

use crate::site::end;

const HEADER: &str = "prefix,type,connect_fee,interval_1,price_1,free_seconds,interval_n,price_n,grace_period,postcall_surcharge";

/// The exit code and what `check-config` says.
fn check(config: &std::path::Path) -> (Option<i32>, String) {
    let output = Command::new(callmeter())
        .arg("check-config")
        .arg(config)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.code(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deck_file_that_is_missing_stops_nothing() {
    // The simulated clock moves only when asked, and stays behind the real one.
    let simulator = Simulator::start(Options {
        start: Some(Timestamp::now() - 60_000.seconds()),
        calls_per_day: Some(700),
        days: 1,
        ..Options::default()
    })
    .await
    .unwrap();
    simulator.freeze(true);
    let world = World::new();
    let account = SuiteAccount::of("acme", &simulator).yaml(&world, "simulated");
    let config = world.configure(&[account], &[]);
    let text = std::fs::read_to_string(&config).unwrap();
    let charges = "charges:\n  - { name: spend, account: acme, deck: ./deck.csv, currency: EUR }\n";
    world.write("callmeter.yml", &format!("{charges}{text}"));

    let (code, said) = check(&config);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("callmeter.yml:2:41: charges[0].deck: cannot read the deck"),
        "{said}"
    );
    let exporter = Exporter::start(&config, &world.path("first.log"), Web::default()).await;
    let waiting = async |exporter: &Exporter| {
        let metrics = exporter.metrics().await;
        metrics.sum("callmeter_calls_waiting_for_deck", &["account=\"acme\""])
    };
    exporter
        .until("calls wait", async |exporter| waiting(exporter).await > 0.0)
        .await;
    let task = ["account=\"spend\"", "task=\"rates\""];
    let metrics = exporter.metrics().await;
    assert!(metrics.sum("callmeter_poll_failures_total", &task) > 0.0);
    assert!(exporter.log().contains("level=error"));
    let status = exporter.status().await;
    assert_eq!(status["charges"][0]["name"], "spend");
    assert!(status["charges"][0]["waiting"].as_u64().unwrap() > 0);
    let page = exporter.get("/").await.text();
    assert!(page.contains("wait to be charged"), "{page}");

    // It comes: everything is charged.
    let rows: Vec<String> = (0..10)
        .map(|digit| format!("{digit},A,0,60,0.5,0,60,0.5,0,0\n"))
        .collect();
    world.write("deck.csv", &format!("{HEADER}\n{}", rows.concat()));
    let charged = async |exporter: &Exporter| {
        let metrics = exporter.metrics().await;
        metrics.sum("callmeter_charges_total", &["currency=\"EUR\""])
    };
    exporter
        .until("charged", async |exporter| {
            charged(exporter).await > 0.0 && waiting(exporter).await == 0.0
        })
        .await;
    let (code, said) = check(&config);
    assert_eq!(code, Some(0), "{said}");
    end(exporter);

    // It is gone at a restart: calls are charged by the rates that are in the journal.
    std::fs::remove_file(world.path("deck.csv")).unwrap();
    let exporter = Exporter::start(&config, &world.path("again.log"), Web::default()).await;
    let before = charged(&exporter).await;
    simulator.advance(20_000).unwrap();
    exporter
        .until("more is charged", async |exporter| {
            charged(exporter).await > before && waiting(exporter).await == 0.0
        })
        .await;
    let said = exporter.log();
    assert!(
        said.contains("calls are charged by the rates that were read last"),
        "{said}"
    );
    end(exporter);
}
