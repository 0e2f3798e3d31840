//! Tests of the whole program, running inside the test, against the simulator.

#![expect(clippy::float_cmp, reason = "whole numbers")]
#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod commands;
mod support;

use callmeter_simulator::{LedgerQuery, Options};
use support::{World, published};

#[tokio::test(flavor = "multi_thread")]
async fn totals_are_the_ledgers_and_a_restart_keeps_them() {
    let world = World::with_calls(1_500).await;
    world.configure(&[world.suite("acme"), world.pbx("hq")]);
    let truth = world.ledger();

    let program = world.start().await;
    program
        .until("counted", async |program| {
            program.metrics().await.sum("callmeter_calls_total", &[]) >= 1_500.0
        })
        .await;
    program
        .until("read", async |program| {
            let metrics = program.metrics().await;
            metrics.count("callmeter_portsip_balance", &[]) == 1
                && metrics.sum("callmeter_call_rates", &[]) == 50.0
                && metrics.count("callmeter_allowance_balance", &[]) > 0
        })
        .await;
    let metrics = program.metrics().await;
    assert_eq!(metrics.sums("acme"), published(truth.total));
    for group in &truth.groups {
        let labels = [
            format!("client_id=\"{}\"", group.client_id),
            format!("direction=\"{}\"", group.direction),
        ];
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let calls = metrics.sum("callmeter_calls_total", &labels);
        #[expect(clippy::cast_precision_loss, reason = "a small count")]
        let expected = group.sums.calls as f64;
        assert_eq!(calls, expected, "{labels:?}");
    }
    assert_eq!(metrics.sum("callmeter_up", &[]), 2.0);
    program.end().await;

    // The restarted program has its totals before the first request.
    world.simulator.freeze(true);
    let program = world.start().await;
    let metrics = program.metrics().await;
    assert_eq!(metrics.sums("acme"), published(truth.total));
    // Polling again counts nothing twice.
    program
        .until("polled again", async |program| {
            program
                .metrics()
                .await
                .sum("callmeter_polls_total", &["acme", "task=\"calls\""])
                > 2.0
        })
        .await;
    assert_eq!(program.metrics().await.sums("acme"), published(truth.total));
    program.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_adds_and_removes_accounts_without_touching_the_others() {
    let world = World::with_calls(300).await;
    let config = world.configure(&[world.suite("acme")]);
    let program = world.start().await;
    let polls = async |account: &str| {
        let account = format!("account=\"{account}\"");
        program
            .metrics()
            .await
            .sum("callmeter_polls_total", &[&account])
    };
    program
        .until("polled", async |_| polls("acme").await >= 3.0)
        .await;

    world.configure(&[world.suite("acme"), world.suite("second"), world.pbx("hq")]);
    let before = polls("acme").await;
    assert_eq!(program.request("POST", "/-/reload").await.0, 200);
    // The counters of a restarted account do not decrease.
    assert!(polls("acme").await >= before);
    program
        .until("all counted", async |program| {
            let metrics = program.metrics().await;
            metrics.sums("acme").calls == 300 && metrics.sums("second").calls == 300
        })
        .await;

    // A bad file answers 500 with the reason and changes nothing.
    let good = std::fs::read_to_string(&config).unwrap();
    world.write(
        "callmeter.yml",
        &good.replace("page_size: 100", "pagesize: 100"),
    );
    let (status, reason) = program.request("PUT", "/-/reload").await;
    assert_eq!(status, 500);
    assert!(
        reason.contains("callmeter.yml:9:") && reason.contains("page_size"),
        "{reason}"
    );
    let metrics = program.metrics().await;
    assert_eq!(
        metrics.sum("callmeter_config_last_reload_successful", &[]),
        0.0
    );
    assert_eq!(metrics.sums("second").calls, 300);

    world.configure(&[world.suite("acme"), world.pbx("hq")]);
    let before = polls("acme").await;
    assert_eq!(program.request("POST", "/-/reload").await.0, 200);
    let metrics = program.metrics().await;
    assert_eq!(
        metrics.count("callmeter_calls_total", &["account=\"second\""]),
        0
    );
    assert_eq!(
        metrics.count("callmeter_polls_total", &["account=\"second\""]),
        0
    );
    assert_eq!(
        metrics.sum("callmeter_config_last_reload_successful", &[]),
        1.0
    );
    assert!(polls("acme").await >= before);

    // An account that comes back has its totals.
    world.configure(&[world.suite("acme"), world.suite("second")]);
    assert_eq!(program.request("POST", "/-/reload").await.0, 200);
    assert_eq!(program.metrics().await.sums("second").calls, 300);

    // What takes effect at a start only is refused, not silently ignored.
    let moved = std::fs::read_to_string(&config)
        .unwrap()
        .replace("journal.db", "other.db");
    world.write("callmeter.yml", &moved);
    let (status, reason) = program.request("POST", "/-/reload").await;
    assert_eq!(status, 500);
    assert!(reason.contains("journal.path"), "{reason}");
    program.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_shown_and_its_repair_noticed() {
    let world = World::with_calls(50).await;
    world.configure(&[world.suite("acme"), world.pbx("hq")]);
    world.write("suite.password", "s3cret wrong\n");
    let program = world.start().await;
    program
        .until("refused", async |program| {
            program
                .get("/api/v1/status")
                .await
                .1
                .contains("\"state\":\"refused\"")
        })
        .await;
    let (_, status) = program.get("/api/v1/status").await;
    assert!(status.contains("login refused"), "{status}");
    assert!(!status.contains("s3cret"), "{status}");
    let metrics = program.metrics().await;
    assert_eq!(metrics.sum("callmeter_up", &["acme"]), 0.0);
    let refused = metrics.sum("callmeter_poll_failures_total", &["acme", "refused_login"]);
    assert!(refused >= 1.0);
    program
        .until("the other account works", async |program| {
            program.metrics().await.sum("callmeter_up", &["hq"]) == 1.0
        })
        .await;

    world.write("suite.password", "simulated\n");
    program
        .until("repaired", async |program| {
            let metrics = program.metrics().await;
            metrics.sum("callmeter_up", &["acme"]) == 1.0 && metrics.sums("acme").calls == 50
        })
        .await;
    program.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_vanishes_and_counters_stay() {
    let world = World::with_calls(80).await;
    let suite = world
        .suite("acme")
        .replace("balances:", "stale_after: 2\n      balances:");
    let pbx = world
        .pbx("hq")
        .replace("billing:", "stale_after: 2\n      billing:");
    world.configure(&[suite, pbx]);
    let program = world.start().await;
    program
        .until("read", async |program| {
            let metrics = program.metrics().await;
            metrics.sums("acme").calls == 80
                && metrics.count("callmeter_allowance_balance", &[]) > 0
                && metrics.count("callmeter_portsip_balance", &[]) == 1
        })
        .await;
    let truth = world.ledger().total;
    world.simulator.stop().await;
    program
        .until("vanished", async |program| {
            let metrics = program.metrics().await;
            metrics.count("callmeter_allowance_balance", &[]) == 0
                && metrics.count("callmeter_client_info", &[]) == 0
                && metrics.count("callmeter_portsip_balance", &[]) == 0
                && metrics.count("callmeter_call_rates", &[]) == 0
        })
        .await;
    let metrics = program.metrics().await;
    assert_eq!(metrics.sums("acme"), published(truth));
    assert_eq!(metrics.count("callmeter_up", &[]), 2);
    assert_eq!(metrics.sum("callmeter_up", &[]), 0.0);
    assert_eq!(
        metrics.count("callmeter_last_success_timestamp_seconds", &[]),
        2
    );
    program.end().await;
}

/// While calls come in, are edited and come late, every scrape shows counters that do not fall, and
/// in the end counters and corrections are the truth.
#[tokio::test(flavor = "multi_thread")]
async fn a_lively_world_is_counted_exactly() {
    let world = World::new(Options {
        calls_per_day: Some(4_000),
        days: 1,
        speed: 600.0,
        rates: 10,
        ..Options::default()
    })
    .await;
    world.configure(&[world.suite("acme")]);
    let program = world.start().await;
    let mut last = 0;
    for _ in 0..40 {
        let calls = program.metrics().await.sums("acme").calls;
        assert!(calls >= last, "{calls} after {last}");
        last = calls;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    world.simulator.freeze(true);
    let truth = world.simulator.ledger(&LedgerQuery {
        without_ids: true,
        ..LedgerQuery::default()
    });
    program
        .until("caught up", async |program| {
            program.metrics().await.sums("acme") == published(truth.total)
        })
        .await;
    program.end().await;
}
