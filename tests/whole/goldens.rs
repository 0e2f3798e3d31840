//! Snapshots of `/metrics` in its three formats, of a simulator whose calls do not change.

use std::process::Command;

use callmeter_simulator::{LedgerQuery, Options, Simulator};
use callmeter_tests::{Exporter, PbxAccount, SuiteAccount, Web, World, callmeter, differences};

#[path = "../../crates/exposition/tests/world/proto.rs"]
mod proto;

/// Families whose samples differ from run to run. Their names, types and labels do not.
const VOLATILE: [&str; 14] = [
    "callmeter_allowance_forecast_ratio",
    "callmeter_allowance_period_elapsed_ratio",
    "callmeter_api_",
    "callmeter_build_info",
    "callmeter_call_records_duplicate_total",
    "callmeter_config_last_reload_success_timestamp_seconds",
    "callmeter_http_requests",
    "callmeter_journal_",
    "callmeter_last_success_timestamp_seconds",
    "callmeter_task_last_success_timestamp_seconds",
    "callmeter_poll",
    "callmeter_process_",
    "callmeter_watermark_timestamp_seconds",
    "process_",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_of_metrics_in_three_formats() {
    let simulator = Simulator::start(Options {
        seed: 7,
        start: Some("2026-03-03T12:00:00Z".parse().unwrap()),
        calls: Some(60),
        days: 2,
        clients: 2,
        centers: 1,
        rates: 6,
        ..Options::default()
    })
    .await
    .unwrap();
    simulator.freeze(true);
    let world = World::new();
    let suite = SuiteAccount::of("acme", &simulator)
        .with("balances", "{ every: 1s }")
        .with("clients", "{ every: 1s }");
    let pbx = PbxAccount::of("hq", &simulator);

    // With a fixed start in the past, labels and values are always the same.
    let config = world.configure(&[suite.yaml(&world, "simulated")], &[]);
    let backfill = Command::new(callmeter())
        .args(["backfill", "--account=acme"])
        .args(["--from=2026-03-01", "--to=2026-03-03"])
        .arg(format!("--config.file={}", config.display()))
        .output()
        .unwrap();
    assert!(backfill.status.success(), "{backfill:?}");
    let config = world.configure(
        &[
            suite.calls("enabled: false").yaml(&world, "simulated"),
            pbx.yaml(&world, "simulated"),
        ],
        &[],
    );
    let exporter = Exporter::start(&config, &world.path("callmeter.log"), Web::default()).await;
    let truth = simulator.ledger(&LedgerQuery::default());
    exporter
        .until("everything read", async |exporter| {
            let metrics = exporter.metrics().await;
            differences(&metrics, "acme", &truth).is_empty()
                && metrics.sum("callmeter_up", &[]) == 2.0
                && metrics.count("callmeter_allowance_used_ratio", &[]) > 0
                && metrics.count("callmeter_portsip_balance", &[]) == 1
                && metrics.count("callmeter_call_rates", &[]) > 0
                && metrics.count("callmeter_polls_total", &[]) == 4
        })
        .await;

    let text = exporter
        .get_as("/metrics", "text/plain;version=0.0.4")
        .await;
    assert_eq!(
        text.content_type,
        "text/plain; version=0.0.4; charset=utf-8"
    );
    insta::assert_snapshot!("text", steady(&text.text()));
    let accept = "application/openmetrics-text;version=1.0.0";
    let open_metrics = exporter.get_as("/metrics", accept).await;
    assert_eq!(
        open_metrics.content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(open_metrics.text().ends_with("# EOF\n"));
    insta::assert_snapshot!("openmetrics", steady(&open_metrics.text()));
    let accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let protobuf = exporter.get_as("/metrics", accept).await;
    assert!(
        protobuf
            .content_type
            .starts_with("application/vnd.google.protobuf"),
        "{}",
        protobuf.content_type
    );
    insta::assert_snapshot!("protobuf", decoded(&protobuf.body));
    assert!(exporter.terminate().success());
}

fn is_volatile(name: &str) -> bool {
    VOLATILE.iter().any(|volatile| name.starts_with(volatile))
}

/// The text without values that differ from run to run.
fn steady(text: &str) -> String {
    let lines = text.lines().filter_map(|line| {
        if line.starts_with('#') || !is_volatile(line) {
            Some(line.to_owned())
        } else if line.contains("_bucket{")
            || line.contains("http_requests")
            || line.contains("build_info")
        {
            None
        } else {
            line.rsplit_once(' ')
                .map(|(series, _)| format!("{series} …"))
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The protobuf messages, one line per metric.
fn decoded(body: &[u8]) -> String {
    let mut lines = Vec::new();
    for family in proto::decode(body) {
        lines.push(format!(
            "{} {} {:?} {}",
            family.name, family.r#type, family.unit, family.help
        ));
        if is_volatile(&family.name) {
            continue;
        }
        for metric in family.metric {
            let labels: Vec<String> = metric
                .label
                .iter()
                .map(|label| format!("{}={:?}", label.name, label.value))
                .collect();
            let mut value = String::new();
            if let Some(gauge) = metric.gauge {
                value = format!("{:?}", gauge.value);
            }
            if let Some(mut counter) = metric.counter {
                assert!(
                    counter.created_timestamp.take().is_some(),
                    "{}",
                    family.name
                );
                value = format!("{:?}", counter.value);
            }
            if let Some(mut histogram) = metric.histogram {
                assert!(
                    histogram.created_timestamp.take().is_some(),
                    "{}",
                    family.name
                );
                value = format!("{histogram:?}");
            }
            lines.push(format!("  {} {value}", labels.join(",")));
        }
    }
    lines.join("\n")
}
