//! The mixin at a real Prometheus that scrapes the demo: every query of every dashboard returns
//! data, and no alert is about to fire. Accounts can be targets of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use callmeter_tests::{Process, World, callmeter, plugin, quoted, system, until};
use serde_json::Value;

use crate::server::Server;

/// Panels whose queries must find nothing in the demo, or nothing yet.
const EMPTY: [&str; 7] = [
    // The demo hides the family.
    "Flagged in the last day",
    // The demo does not show histograms by client.
    "Service level by client",
    // Polls of the demo do not fail.
    "Failed polls",
    "Failing tasks",
    // One of 24 hours has data.
    "Calls by hour of the day",
    // The journal of the demo is a file.
    "Work by instance",
    "Behind the journal",
];

fn mixin() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../mixin")
}

/// The queries of all dashboards, with the titles of their panels.
fn queries() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(mixin().join("dashboards")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let query = ["account", "center", "client"].iter().fold(
                    target["expr"].as_str().unwrap().to_owned(),
                    |query, name| query.replace(&format!("\"${name}\""), "\".*\""),
                );
                let query = query.replace("$__rate_interval", "10s");
                assert!(!query.contains('$'), "{query}");
                found.push((panel["title"].as_str().unwrap().to_owned(), query));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_a_dashboard_finds_data_and_no_alert_fires_in_the_demo() {
    for name in ["csv", "webhook"] {
        plugin(name);
    }
    let world = World::new();
    let mut command = Command::new(callmeter());
    command
        .arg("demo")
        .arg(format!("--directory={}", world.path("demo").display()))
        .arg("--web.listen-address=127.0.0.1:0");
    let demo = Process::start(&mut command, &world.path("demo.log"));
    let metrics = until(
        "the demo's address",
        async || {
            let said = demo.log();
            let line = said
                .lines()
                .find_map(|line| line.trim_start().strip_prefix("metrics "));
            line.map(|line| line.trim().to_owned())
        },
        async || demo.log(),
    )
    .await;
    let address = metrics
        .strip_prefix("http://")
        .and_then(|url| url.strip_suffix("/metrics"))
        .unwrap();
    let file = |name: &str| quoted(&mixin().join(name).display().to_string());
    let jobs = format!(
        "  - job_name: callmeter\n    static_configs: [{{ targets: [{address:?}] }}]\n\
         rule_files: [{}, {}]\n",
        file("alerts.yaml"),
        file("rules.yaml"),
    );
    let prometheus = system("prometheus", "prometheus");
    let server = Server::start(&prometheus, &world, "mixin", &jobs, &[]);

    let queries = queries();
    assert!(queries.len() > 60, "{}", queries.len());
    // Calls need some seconds to be counted between two scrapes.
    until(
        "data for every query",
        async || missing(&server, &queries).await.is_empty().then_some(()),
        async || format!("{:#?}", missing(&server, &queries).await),
    )
    .await;
    for (title, query) in queries
        .iter()
        .filter(|(title, _)| title == EMPTY[0] || title == EMPTY[1])
    {
        assert!(server.now(query).await.unwrap().is_empty(), "{title}");
    }
    // Some conditions hold for a moment at the start.
    until(
        "no alert",
        async || server.now("ALERTS").await?.is_empty().then_some(()),
        async || format!("{:#?}\n{}", server.now("ALERTS").await, demo.log()),
    )
    .await;
    drop(server);

    // Each account as a target of its own, as `/sd` lists them: no series twice, none left out.
    let jobs = format!(
        "  - job_name: accounts\n    http_sd_configs: [{{ url: \"http://{address}/sd\", refresh_interval: 1s }}]\n"
    );
    let server = Server::start(&prometheus, &world, "accounts", &jobs, &[]);
    for (query, value) in [
        ("count(up == 1)", 3.0),
        ("count(callmeter_up)", 2.0),
        ("count(callmeter_up{instance=~\".*/acme\"})", 1.0),
        ("count(callmeter_ready)", 1.0),
        (
            "count(scrape_samples_scraped and on (job, instance) (callmeter_ready or callmeter_polls_total))",
            3.0,
        ),
        ("max(count by (client_id) (callmeter_client_info))", 1.0),
    ] {
        server.until(query, value).await;
    }
    assert!(demo.terminate().success());
}

/// The queries without data, of panels that must have some. A query that fails is missing, too.
async fn missing(server: &Server, queries: &[(String, String)]) -> Vec<String> {
    let mut missing = Vec::new();
    for (title, query) in queries {
        let found = server.now(query).await;
        let is_empty = found.as_ref().is_none_or(Vec::is_empty);
        if found.is_none() || (is_empty && !EMPTY.contains(&title.as_str())) {
            missing.push(format!("{title}: {query}"));
        }
    }
    missing
}
