//! What operators see of two instances with one journal: who works on what, at each of them;
//! without the server; and when one dies.

use std::collections::BTreeSet;

use callmeter_simulator::Options;
use callmeter_tests::{Exporter, Web, output, plugin, quoted};
use rustix::process::Signal;
use serde_json::Value;

use crate::postgres;
use crate::site::Site;

const ACCOUNTS: [&str; 3] = ["acme", "beta", "broken"];
/// The password that the API refuses.
const WRONG: &str = "hunter2-and-more";

/// The status of both, at a moment when each account is at one of them, and told to the other.
async fn settled(one: &Exporter, two: &Exporter) -> [Value; 2] {
    let is_told = |work: &Value| match work["held"].as_str() {
        Some("here") => true,
        Some("elsewhere") => {
            let (name, works) = (&work["name"], &work["state"]["works"]);
            work["kind"] == "journal" || *works == (name != "broken")
        }
        _ => false,
    };
    let mut last = [Value::Null, Value::Null];
    one.until("both know who works on what", async |one| {
        last = [one.status().await, two.status().await];
        last.iter().all(|status| {
            let work = status["sharing"]["work"].as_array().unwrap();
            work.len() == 5
                && work.iter().all(is_told)
                && status["sharing"]["instances"].as_array().unwrap().len() == 2
                && polled(status) == held(status)
                && !held(status).is_empty()
        })
    })
    .await;
    last
}

/// The accounts that the instance polls.
fn polled(status: &Value) -> BTreeSet<&str> {
    let accounts = status["accounts"].as_array().unwrap().iter();
    accounts.map(|one| one["name"].as_str().unwrap()).collect()
}

/// The accounts whose leases it holds.
fn held(status: &Value) -> BTreeSet<&str> {
    let work = status["sharing"]["work"].as_array().unwrap().iter();
    let here = work.filter(|one| one["kind"] == "account" && one["held"] == "here");
    here.map(|one| one["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_who_works_on_what() {
    let site = Site::new(Options {
        calls: Some(300),
        days: 1,
        ..Options::default()
    })
    .await;
    site.simulator.freeze(true);
    let accounts = ACCOUNTS.map(|name| {
        let password = if name == "broken" { WRONG } else { "simulated" };
        site.suite(name).yaml(&site.world, password)
    });
    let csv = quoted(&site.world.path("csv").display().to_string());
    let settings = format!("{{ directory: {csv} }}");
    let archive = output("archive", &plugin("csv"), "calls", &settings);
    // The server ends with the thread that starts it.
    let mut database = tokio::task::block_in_place(postgres::OwnServer::start);
    let url = format!("postgres://callmeter@127.0.0.1:{}/postgres", database.port);
    site.world.write("journal.url", &url);
    let config = site.world.write(
        "callmeter.yml",
        &format!(
            "accounts:\n{}journal: {{ postgres: {{ url_file: journal.url }} }}\noutputs:\n{archive}",
            accounts.concat()
        ),
    );
    let start =
        async |name: &str| Exporter::start(&config, &site.world.path(name), Web::default()).await;
    let (one, two) = (start("one.log").await, start("two.log").await);
    let both = [&one, &two];

    // Each account is at one instance, and the other one says where, and how it gets on.
    let statuses = settled(&one, &two).await;
    let name = |status: &Value| status["sharing"]["instance"].as_str().unwrap().to_owned();
    let names = statuses.each_ref().map(name);
    for (index, status) in statuses.iter().enumerate() {
        let other = &names[1 - index];
        let here = polled(status);
        for work in status["sharing"]["work"].as_array().unwrap() {
            let is_here = work["held"] == "here";
            assert_eq!(
                work["instance"],
                names[if is_here { index } else { 1 - index }]
            );
            if work["kind"] == "account" {
                let account = work["name"].as_str().unwrap();
                assert_eq!(here.contains(&account), is_here, "{status}");
                let state = &work["state"];
                assert_eq!(
                    state["last_success"].is_string(),
                    !is_here && account != "broken"
                );
            }
        }
        let page = both[index].get("/").await.text();
        assert!(page.contains("Not polled by this instance") && page.contains(other.as_str()));
        assert!(!page.contains("No account is configured"));
        let away = ACCOUNTS.iter().find(|name| !here.contains(*name)).unwrap();
        let usage = both[index]
            .get(&format!("/usage?account={away}"))
            .await
            .text();
        let says = format!("The instance {other} polls this account");
        assert!(*away == "broken" || usage.contains(&says), "{usage}");
        let targets = both[index].get("/sd").await.text();
        assert!(
            ACCOUNTS.iter().all(|name| targets.contains(name)),
            "{targets}"
        );
        assert!(!page.contains(WRONG) && !status.to_string().contains(WRONG));
    }
    let told = tokio::task::block_in_place(|| {
        let mut client = ::postgres::Client::connect(&url, ::postgres::NoTls).unwrap();
        let rows = client
            .query("SELECT state FROM callmeter.instances", &[])
            .unwrap();
        let texts = rows.iter().map(|row| row.get::<_, Vec<u8>>(0));
        texts
            .map(|text| String::from_utf8(text).unwrap())
            .collect::<String>()
    });
    assert!(
        told.contains("account/broken") && told.contains("output/archive"),
        "{told}"
    );
    assert!(
        !told.contains(WRONG) && !told.contains("simulated"),
        "{told}"
    );

    // All figures of the instances, of which some are at one of them only.
    let mut up = 0.0;
    let mut here = 0.0;
    for exporter in both {
        let metrics = exporter.metrics().await;
        assert_eq!(metrics.sum("callmeter_journal_up", &[]), 1.0);
        assert_eq!(metrics.sum("callmeter_instances", &[]), 2.0);
        assert_eq!(metrics.sum("callmeter_leases", &["held=\"nobody\""]), 0.0);
        assert_eq!(metrics.sum("callmeter_leases", &["kind=\"account\""]), 3.0);
        assert_eq!(metrics.count("callmeter_leases", &[]), 12);
        assert_eq!(metrics.sum("callmeter_journal_lag_batches", &[]), 0.0);
        assert!(metrics.sum("callmeter_journal_followed_timestamp_seconds", &[]) > 1e9);
        assert!(metrics.sum("callmeter_lease_rounds_total", &["outcome=\"ok\""]) > 0.0);
        here += metrics.sum("callmeter_leases", &["held=\"here\""]);
        up += metrics.sum("callmeter_up", &[]);
    }
    assert_eq!((here, up), (5.0, 2.0));

    // Without the server, nobody knows who works on what.
    tokio::task::block_in_place(|| database.kill());
    for exporter in both {
        exporter
            .until("the server is missed", async |exporter| {
                let metrics = exporter.metrics().await;
                metrics.sum("callmeter_journal_up", &[]) == 0.0
                    && metrics.count("callmeter_instances", &[]) == 0
                    && metrics.count("callmeter_leases", &[]) == 0
                    && metrics.count("callmeter_up", &[]) == 0
                    && metrics.sum("callmeter_calls_total", &[]) > 0.0
            })
            .await;
        let sharing = exporter.status().await["sharing"].clone();
        assert!(
            sharing["error"].is_string() && sharing["last_round"].is_string(),
            "{sharing}"
        );
        assert!(sharing["work"][0]["held"] == "unknown" && sharing["instances"][0].is_null());
        let page = exporter.get("/").await.text();
        assert!(page.contains("Something needs attention"), "{page}");
        assert!(page.contains("The journal was last reached"), "{page}");
        assert!(exporter.log().contains("cannot renew leases"));
    }
    tokio::task::block_in_place(|| database.resume());
    settled(&one, &two).await;

    // One dies. The other one shows everything.
    one.process().signal(Signal::KILL);
    two.until("all is here", async |two| {
        let metrics = two.metrics().await;
        metrics.sum("callmeter_instances", &[]) == 1.0
            && metrics.sum("callmeter_leases", &["held=\"here\""]) == 5.0
            && metrics.sum("callmeter_up", &[]) == 2.0
            && metrics.count("callmeter_up", &[]) == 3
            && metrics.sum("callmeter_output_up", &[]) == 1.0
    })
    .await;
    let page = two.get("/").await.text();
    assert!(
        !page.contains("Not polled by this instance") && !page.contains(&names[0]),
        "{page}"
    );
    assert!(two.terminate().success());
    drop(one);
}
