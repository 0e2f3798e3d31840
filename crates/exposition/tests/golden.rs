//! The whole exposition of a small meter in each format, as people and servers get it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod world;

use callmeter_exposition::{Exposition, Format, OpenMetricsVersion, Options, TextVersion};

fn options() -> Options {
    Options {
        process_start: Some(1_785_970_000_250_000),
        ..Options::default()
    }
}

fn body(format: Format, options: Options) -> Vec<u8> {
    let snapshot = world::small_meter().snapshot();
    let registry = world::small_registry().gather();
    let chunks = Exposition::new(snapshot, registry, format, options);
    chunks.collect::<Vec<_>>().concat()
}

fn text(format: Format, options: Options) -> String {
    String::from_utf8(body(format, options)).unwrap()
}

const OPEN_METRICS: Format = Format::OpenMetrics(OpenMetricsVersion::V1_0_0);

#[test]
fn text_format() {
    insta::assert_snapshot!(text(Format::Text(TextVersion::V0_0_4), options()));
}

#[test]
fn openmetrics() {
    insta::assert_snapshot!(text(OPEN_METRICS, options()));
}

#[test]
fn openmetrics_with_created_lines() {
    let created_lines = true;
    let text = text(
        OPEN_METRICS,
        Options {
            created_lines,
            ..options()
        },
    );
    let created: Vec<_> = text
        .lines()
        .filter(|line| line.contains("_created"))
        .collect();
    insta::assert_snapshot!(created.join("\n"));
}

/// What protobuf's bytes mean: decoded by an independent decoder, then written as that one sees
/// them.
#[test]
fn protobuf() {
    let families = world::proto::decode(&body(Format::Protobuf, options()));
    insta::assert_snapshot!(format!("{families:#?}"));
}

#[test]
fn families_can_be_asked_for_by_name() {
    let names = [
        "callmeter_up",
        "callmeter_calls",
        "uptime_seconds_total",
        "callmeter_no_such",
    ];
    let names = names.iter().map(ToString::to_string).collect();
    let text = text(
        Format::Text(TextVersion::V0_0_4),
        Options { names, ..options() },
    );
    insta::assert_snapshot!(text);
}

#[test]
fn nothing_at_all_is_a_valid_body() {
    let registry = prometheus::Registry::new();
    let empty = |format| {
        let snapshot = std::sync::Arc::new(callmeter_meter::Snapshot::default());
        let chunks = Exposition::new(snapshot, registry.gather(), format, options());
        String::from_utf8(chunks.collect::<Vec<_>>().concat()).unwrap()
    };
    assert_eq!(empty(Format::Text(TextVersion::V0_0_4)), "");
    assert_eq!(empty(OPEN_METRICS), "# EOF\n");
    assert_eq!(empty(Format::Protobuf), "");
}

/// With native histograms only, protobuf has no classic buckets; text has them, because it has no
/// others.
#[test]
fn native_histograms_alone() {
    let meter = world::small_meter();
    meter.update(|ledger| {
        ledger.set_view(callmeter_meter::View {
            native_only: true,
            ..callmeter_meter::View::default()
        });
    });
    let body = |format| {
        let chunks = Exposition::new(meter.snapshot(), Vec::new(), format, options());
        chunks.collect::<Vec<_>>().concat()
    };
    let families = world::proto::decode(&body(Format::Protobuf));
    let answer = families
        .iter()
        .find(|family| family.name == "callmeter_call_answer_seconds")
        .unwrap();
    for metric in &answer.metric {
        let histogram = metric.histogram.as_ref().unwrap();
        assert!(histogram.bucket.is_empty());
        assert!(!histogram.positive_span.is_empty());
    }
    let text = String::from_utf8(body(Format::Text(TextVersion::V0_0_4))).unwrap();
    assert!(text.contains("callmeter_call_answer_seconds_bucket{"));
}
