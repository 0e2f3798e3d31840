//! Files that never respond: a pipe without a writer stands for a network drive that is gone.

use std::path::Path;
use std::process::Command;

use callmeter_simulator::{Options, Simulator};
use callmeter_tests::{Exporter, SuiteAccount, Web, World, callmeter};

fn make_pipe(path: &Path) {
    let _absent = std::fs::remove_file(path);
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_cannot_be_read_delays_nothing_else() {
    let simulator = Simulator::start(Options {
        calls: Some(20),
        ..Options::default()
    })
    .await
    .unwrap();
    let world = World::new();
    // More accounts than callmeter has threads for its web server.
    let names: Vec<String> = (0..12).map(|number| format!("acme{number}")).collect();
    let accounts: Vec<String> = names
        .iter()
        .map(|name| SuiteAccount::of(name, &simulator).yaml(&world, "simulated"))
        .collect();
    let config = world.configure(&accounts, &[]);
    let exporter = Exporter::start(&config, &world.path("callmeter.log"), Web::default()).await;
    exporter
        .until("all polled", async |exporter| {
            exporter.metrics().await.sum("callmeter_up", &[]) == 12.0
        })
        .await;
    // Each request contains the password, so each poll reads it.
    for name in &names {
        make_pipe(&world.path(&format!("{name}.password")));
    }
    exporter
        .until("all failed", async |exporter| {
            assert_eq!(exporter.get("/-/healthy").await.status, 200);
            exporter.metrics().await.sum("callmeter_up", &[]) == 0.0
        })
        .await;
    let status = exporter.get("/api/v1/status").await.text();
    assert!(status.contains("reading it takes too long"), "{status}");
    assert!(exporter.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_does_not_open_keeps_nobody_waiting() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let world = World::new();
    let account = SuiteAccount::of("acme", &simulator).yaml(&world, "simulated");
    let config = world.configure(&[account], &[]);
    // SQLite opens a rollback journal that is beside its file, and this one never opens.
    let first = Exporter::start(&config, &world.path("first.log"), Web::default()).await;
    assert!(first.terminate().success());
    make_pipe(&world.path("journal.db-journal"));
    let process = Exporter::spawn(&config, &world.path("callmeter.log"), &Web::default());
    let exporter = Exporter::listening(process, Web::default()).await;
    assert_eq!(exporter.metrics().await.sum("callmeter_ready", &[]), 0.0);
    assert_eq!(exporter.metrics().await.count("callmeter_ready", &[]), 1);
    assert_eq!(
        exporter.metrics().await.count("callmeter_build_info", &[]),
        1
    );
    for (page, status) in [
        ("/-/healthy", 200),
        ("/-/ready", 503),
        ("/", 200),
        ("/config", 200),
        ("/api/v1/status", 200),
    ] {
        assert_eq!(exporter.get(page).await.status, status, "{page}");
    }
    let shown = exporter.get("/config").await.text();
    assert!(shown.contains("name: acme"), "{shown}");
    assert!(exporter.terminate().success());
}

#[test]
fn a_configuration_that_is_endless_or_a_pipe_is_an_error() {
    let world = World::new();
    let pipe = world.path("pipe.yml");
    make_pipe(&pipe);
    for (file, reason) in [
        (Path::new("/dev/zero"), "more than 4194304 bytes"),
        (&pipe, "takes too long"),
    ] {
        let output = Command::new(callmeter())
            .arg("check-config")
            .arg(file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains(reason), "{said}");
    }
}
