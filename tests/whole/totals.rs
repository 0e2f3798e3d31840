//! Totals equal the simulator's ledger: from the start, across restarts, reloads and refused
//! logins.

use callmeter_simulator::{LedgerQuery, Options, Sums};
use callmeter_tests::{Samples, published};

use crate::site::{Site, end};

/// What is counted of an account.
fn totals(samples: &Samples, account: &str) -> Sums {
    samples.totals(&[&format!("account=\"{account}\"")])
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_are_the_ledgers_and_a_restart_keeps_them() {
    let site = Site::with_calls(1_500).await;
    site.configure(&[site.suite("acme")], &[site.pbx("hq")]);
    let truth = site.truth();

    let exporter = site.start().await;
    exporter
        .until("counted", async |exporter| {
            exporter.metrics().await.sum("callmeter_calls_total", &[]) >= 1_500.0
        })
        .await;
    exporter
        .until("read", async |exporter| {
            let metrics = exporter.metrics().await;
            metrics.count("callmeter_portsip_balance", &[]) == 1
                && metrics.sum("callmeter_call_rates", &[]) == 50.0
                && metrics.count("callmeter_allowance_used_calls", &[]) > 0
        })
        .await;
    let metrics = exporter.metrics().await;
    assert_eq!(totals(&metrics, "acme"), published(truth.total));
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
    end(exporter);

    // The restarted program has its totals before its first request.
    site.simulator.freeze(true);
    let exporter = site.start().await;
    let metrics = exporter.metrics().await;
    assert_eq!(totals(&metrics, "acme"), published(truth.total));
    // Another poll counts nothing twice.
    exporter
        .until("polled again", async |exporter| {
            exporter
                .metrics()
                .await
                .sum("callmeter_polls_total", &["acme", "task=\"calls\""])
                > 2.0
        })
        .await;
    assert_eq!(
        totals(&exporter.metrics().await, "acme"),
        published(truth.total)
    );
    end(exporter);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_adds_and_removes_accounts_without_touching_the_others() {
    let site = Site::with_calls(300).await;
    let config = site.configure(&[site.suite("acme")], &[]);
    let exporter = site.start().await;
    let polls = async |account: &str| {
        let account = format!("account=\"{account}\"");
        exporter
            .metrics()
            .await
            .sum("callmeter_polls_total", &[&account])
    };
    exporter
        .until("polled", async |_| polls("acme").await >= 3.0)
        .await;

    site.configure(
        &[site.suite("acme"), site.suite("second")],
        &[site.pbx("hq")],
    );
    let before = polls("acme").await;
    exporter.reload().await;
    // Counters of a restarted account would start at 0.
    assert!(polls("acme").await >= before);
    exporter
        .until("all counted", async |exporter| {
            let metrics = exporter.metrics().await;
            totals(&metrics, "acme").calls == 300 && totals(&metrics, "second").calls == 300
        })
        .await;

    // A reload of a bad file returns 500 with the reason and changes nothing.
    let good = std::fs::read_to_string(&config).unwrap();
    site.world.write(
        "callmeter.yml",
        &good.replace("page_size: 100", "pagesize: 100"),
    );
    let refused = exporter.try_reload().await;
    assert_eq!(refused.status, 500);
    let reason = refused.text();
    assert!(
        reason.contains("callmeter.yml:") && reason.contains("page_size"),
        "{reason}"
    );
    let metrics = exporter.metrics().await;
    assert_eq!(
        metrics.sum("callmeter_config_last_reload_successful", &[]),
        0.0
    );
    assert_eq!(totals(&metrics, "second").calls, 300);

    site.configure(&[site.suite("acme")], &[site.pbx("hq")]);
    let before = polls("acme").await;
    exporter.reload().await;
    let metrics = exporter.metrics().await;
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
    site.configure(&[site.suite("acme"), site.suite("second")], &[]);
    exporter.reload().await;
    assert_eq!(totals(&exporter.metrics().await, "second").calls, 300);

    // A change that needs a restart is refused, not ignored.
    let moved = std::fs::read_to_string(&config)
        .unwrap()
        .replace("journal.db", "other.db");
    site.world.write("callmeter.yml", &moved);
    let refused = exporter.try_reload().await;
    assert_eq!(refused.status, 500);
    let reason = refused.text();
    assert!(reason.contains("journal.path"), "{reason}");
    end(exporter);
}

/// What is shown changes at a reload and back, and no counter decreases. What is counted does not
/// change at a reload.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_what_is_shown() {
    let site = Site::with_calls(300).await;
    let config = site.configure(&[site.suite("acme")], &[]);
    let plain = std::fs::read_to_string(&config).unwrap();
    let exporter = site.start().await;
    exporter
        .until("counted", async |exporter| {
            totals(&exporter.metrics().await, "acme").calls == 300
        })
        .await;
    site.simulator.freeze(true);
    let before = exporter.metrics().await;
    let talk = "callmeter_call_talk_seconds_count";
    let info = "callmeter_build_info";
    assert_eq!(before.count(talk, &[]), 0);
    let reload = async |metrics: &str| {
        site.world
            .write("callmeter.yml", &format!("{plain}metrics: {metrics}\n"));
        exporter.try_reload().await
    };
    let chosen = "{ histograms: [talk, answer], client_histograms: true, buckets: [20s], \
                  leave_out: [direction], hide: [callmeter_build_info] }";
    assert_eq!(reload(chosen).await.status, 200);
    let shown = exporter.metrics().await;
    assert_eq!(shown.sum(talk, &["client_id="]), 300.0);
    assert_eq!(shown.with_label("direction="), 0);
    assert_eq!(shown.with_label("le=\"20\""), shown.count(talk, &[]) * 2);
    assert_eq!(shown.with_label("le=\"15\""), 0);
    let abandoned = "callmeter_calls_abandoned_total";
    assert_eq!(shown.count(abandoned, &["client_id="]), 40);
    assert_eq!(shown.sum(abandoned, &[]), before.sum(abandoned, &[]));
    assert_eq!((before.count(info, &[]), shown.count(info, &[])), (1, 0));
    assert_eq!(totals(&shown, "acme").calls, 300);

    assert_eq!(reload("{}").await.status, 200);
    let after = exporter.metrics().await;
    assert_eq!(totals(&after, "acme"), totals(&before, "acme"));
    for (series, value) in before.of("callmeter_call_answer_seconds_bucket", &[]) {
        assert!(after.of(series, &[]).all(|(_, now)| now >= value));
    }
    let refused = reload("{ short_abandon: 10s }").await;
    assert_eq!(refused.status, 500);
    assert!(refused.text().contains("metrics.short_abandon"));
    end(exporter);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_is_shown_and_its_repair_noticed() {
    let site = Site::with_calls(50).await;
    site.configure(&[site.suite("acme")], &[site.pbx("hq")]);
    site.world.write("acme.password", "s3cret wrong\n");
    let exporter = site.start().await;
    exporter
        .until("refused", async |exporter| {
            exporter
                .get("/api/v1/status")
                .await
                .text()
                .contains("\"state\":\"refused\"")
        })
        .await;
    let status = exporter.get("/api/v1/status").await.text();
    assert!(status.contains("login refused"), "{status}");
    assert!(!status.contains("s3cret"), "{status}");
    let metrics = exporter.metrics().await;
    assert_eq!(metrics.sum("callmeter_up", &["acme"]), 0.0);
    let refused = metrics.sum("callmeter_poll_failures_total", &["acme", "refused_login"]);
    assert!(refused >= 1.0);
    exporter
        .until("the other account works", async |exporter| {
            exporter.metrics().await.sum("callmeter_up", &["hq"]) == 1.0
        })
        .await;

    site.world.write("acme.password", "simulated\n");
    exporter
        .until("repaired", async |exporter| {
            let metrics = exporter.metrics().await;
            metrics.sum("callmeter_up", &["acme"]) == 1.0 && totals(&metrics, "acme").calls == 50
        })
        .await;
    end(exporter);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_vanishes_and_counters_stay() {
    let site = Site::with_calls(80).await;
    let suite = site.suite("acme").with("stale_after", "2");
    let pbx = site.pbx("hq").with("stale_after", "2");
    site.configure(&[suite], &[pbx]);
    let exporter = site.start().await;
    exporter
        .until("read", async |exporter| {
            let metrics = exporter.metrics().await;
            totals(&metrics, "acme").calls == 80
                && metrics.count("callmeter_allowance_used_calls", &[]) > 0
                && metrics.count("callmeter_portsip_balance", &[]) == 1
        })
        .await;
    let truth = site.truth().total;
    site.simulator.stop().await;
    exporter
        .until("vanished", async |exporter| {
            let metrics = exporter.metrics().await;
            metrics.count("callmeter_allowance_used_calls", &[]) == 0
                && metrics.count("callmeter_client_info", &[]) == 0
                && metrics.count("callmeter_portsip_balance", &[]) == 0
                && metrics.count("callmeter_call_rates", &[]) == 0
        })
        .await;
    let metrics = exporter.metrics().await;
    assert_eq!(totals(&metrics, "acme"), published(truth));
    assert_eq!(metrics.count("callmeter_up", &[]), 2);
    assert_eq!(metrics.sum("callmeter_up", &[]), 0.0);
    assert_eq!(
        metrics.count("callmeter_last_success_timestamp_seconds", &[]),
        2
    );
    end(exporter);
}

/// While calls arrive, are edited and arrive late, counters never decrease. In the end counters and
/// corrections equal the ledger.
#[tokio::test(flavor = "multi_thread")]
async fn a_lively_world_is_counted_exactly() {
    let site = Site::new(Options {
        calls_per_day: Some(4_000),
        days: 1,
        speed: 600.0,
        rates: 10,
        ..Options::default()
    })
    .await;
    site.configure(&[site.suite("acme")], &[]);
    let exporter = site.start().await;
    let mut last = 0;
    for _ in 0..40 {
        let calls = totals(&exporter.metrics().await, "acme").calls;
        assert!(calls >= last, "{calls} after {last}");
        last = calls;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    site.simulator.freeze(true);
    let truth = site.simulator.ledger(&LedgerQuery {
        without_ids: true,
        ..LedgerQuery::default()
    });
    exporter
        .until("caught up", async |exporter| {
            totals(&exporter.metrics().await, "acme") == published(truth.total)
        })
        .await;
    end(exporter);
}
