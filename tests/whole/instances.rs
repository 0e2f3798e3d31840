//! Three instances with one journal on a PostgreSQL server: they share the work, and any of them
//! may be killed or suspended.

use std::collections::BTreeSet;
use std::time::Duration;

use callmeter_simulator::{LedgerQuery, Options, Simulator};
use callmeter_tests::{
    Exporter, SuiteAccount, Web, World, csv_rows_so_far, differences, output, plugin, quoted,
};
use jiff::{Timestamp, ToSpan as _};
use rustix::process::Signal;

const ACCOUNTS: [&str; 3] = ["acme", "beta", "gamma"];

/// Longer than a lease.
const SUSPENDED: Duration = Duration::from_secs(13);

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_are_killed_and_suspended_lose_and_double_nothing() {
    let simulator = Simulator::start(Options {
        start: Some(Timestamp::now() - 30_000.seconds()),
        calls_per_day: Some(700),
        days: 1,
        rates: 10,
        ..Options::default()
    })
    .await
    .unwrap();
    simulator.freeze(true);
    let world = World::new();
    let csv = world.path("csv");
    let port = tokio::task::spawn_blocking(|| crate::postgres::shared().port)
        .await
        .unwrap();
    let schema = format!("whole_{}", std::process::id());
    world.write(
        "journal.url",
        &format!("postgres://callmeter@127.0.0.1:{port}/postgres"),
    );
    let accounts =
        ACCOUNTS.map(|name| SuiteAccount::of(name, &simulator).yaml(&world, "simulated"));
    let directory = quoted(&csv.display().to_string());
    let settings = format!("{{ directory: {directory}, rotate: never }}");
    let config = world.write(
        "callmeter.yml",
        &format!(
            "accounts:\n{}journal:\n  keep: 3650d\n  postgres: {{ url_file: journal.url, schema: {schema} }}\noutputs:\n{}",
            accounts.concat(),
            output("archive", &plugin("csv"), "calls", &settings)
        ),
    );
    let start =
        async |name: &str| Exporter::start(&config, &world.path(name), Web::default()).await;
    let truth = || simulator.ledger(&LedgerQuery::default());
    let one = start("one.log").await;
    let two = start("two.log").await;
    let three = start("three.log").await;
    for exporter in [&one, &two, &three] {
        counted(exporter, truth().total.calls).await;
    }
    // One is killed; the others go on with its work.
    simulator.advance(3_000).unwrap();
    one.process().signal(Signal::KILL);
    for exporter in [&two, &three] {
        counted(exporter, truth().total.calls).await;
    }
    // One is suspended for longer than a lease, and goes on.
    two.process().signal(Signal::STOP);
    simulator.advance(3_000).unwrap();
    counted(&three, truth().total.calls).await;
    tokio::time::sleep(SUSPENDED).await;
    two.process().signal(Signal::CONT);
    let four = start("four.log").await;
    simulator.advance(3_000).unwrap();
    let truth = truth();
    for exporter in [&two, &three, &four] {
        counted(exporter, truth.total.calls).await;
        let metrics = exporter.metrics().await;
        for account in ACCOUNTS {
            assert_eq!(differences(&metrics, account, &truth), Vec::<String>::new());
        }
    }
    // A clean stop gives the work to the others at once.
    assert!(two.terminate().success());
    assert!(three.terminate().success());
    let expected: BTreeSet<String> = truth.ids.iter().cloned().collect();
    four.until("written", async |_| {
        csv_rows_so_far(&csv, "").len() >= 3 * expected.len()
    })
    .await;
    assert!(four.terminate().success());
    // Every row is whole now.
    let rows = crate::kills::rows(&csv);
    assert_eq!(rows.len(), 3 * expected.len());
    let found: BTreeSet<String> = rows.into_iter().map(|(_, id)| id).collect();
    assert_eq!(found, expected);
    drop(one);
    let drop_schema = move || {
        let url = format!("postgres://callmeter@127.0.0.1:{port}/postgres");
        let mut client = ::postgres::Client::connect(&url, ::postgres::NoTls).unwrap();
        client
            .batch_execute(&format!("DROP SCHEMA {schema} CASCADE"))
            .unwrap();
    };
    tokio::task::spawn_blocking(drop_schema).await.unwrap();
}

/// Waits until an instance has counted all calls of every account, whoever polls them.
async fn counted(exporter: &Exporter, calls: u64) {
    exporter
        .until("counted", async |exporter| {
            let metrics = exporter.metrics().await;
            ACCOUNTS.iter().all(|account| {
                let labels = format!("account=\"{account}\"");
                metrics.totals(&[&labels]).calls == calls
            })
        })
        .await;
}
