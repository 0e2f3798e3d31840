//! The three formats against the `prometheus` crate: whatever is counted and registered, all must
//! say the same.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail like tests"
)]

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use callmeter_exposition::{
    Exposition, Format, OpenMetricsVersion, Options, SnapshotCollector, TextVersion,
};
use callmeter_meter::{
    AllowanceUse, Api, Billing, Client, Ledger, Limits, Meter, OPTIONAL_LABELS, View,
};
use callmeter_records::{BatchHead, Call, CallsBuilder, Reading, Stream};
use prometheus::{
    Encoder as _, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
};
use proptest::prelude::*;
use world::proto;

/// Text with whatever needs escaping.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z0-9]{1,8}", 1 => "(\\PC|[\\\\\"\n,{}=]){0,12}"]
}

fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        (-1_000_000_i32..1_000_000).prop_map(|number| f64::from(number) / 1000.0),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(0.0),
        Just(-0.0),
    ]
}

#[derive(Clone, Debug)]
struct AnyCall {
    client: Option<String>,
    center: Option<String>,
    call_type: Option<String>,
    times: [Option<i64>; 6],
}

fn any_call() -> impl Strategy<Value = AnyCall> {
    let time = proptest::option::of(prop_oneof![0_i64..4_000_000, any::<i64>()]);
    let kind = proptest::option::of(prop_oneof![Just("Incoming".to_owned()), any_text()]);
    let id = || proptest::option::of(any_text());
    (id(), id(), kind, proptest::array::uniform6(time)).prop_map(
        |(client, center, call_type, times)| AnyCall {
            client,
            center,
            call_type,
            times,
        },
    )
}

/// What is shown, except that protobuf always has classic buckets: the `prometheus` crate has no
/// native ones.
fn any_view() -> impl Strategy<Value = View> {
    let left_out = proptest::sample::subsequence(OPTIONAL_LABELS.to_vec(), 0..=2);
    (
        any::<bool>(),
        proptest::array::uniform14(any::<bool>()),
        left_out,
    )
        .prop_map(|(client_histograms, bounds, left_out)| View {
            client_histograms,
            bounds,
            left_out,
            ..View::everything()
        })
}

fn any_meter() -> impl Strategy<Value = Arc<Meter>> {
    let calls = proptest::collection::vec(any_call(), 0..60);
    let uses = proptest::collection::vec(
        (any_text(), any::<Option<i64>>(), any::<Option<i64>>()),
        0..6,
    );
    let accounts =
        proptest::collection::vec((any_text(), calls, uses, any::<Option<i128>>()), 0..4);
    (accounts, any_view()).prop_map(|(accounts, view)| {
        let mut ledger = Ledger::new(Limits {
            label_sets: 20,
            ..Limits::default()
        });
        ledger.set_view(view);
        for (number, (name, calls, uses, balance)) in accounts.into_iter().enumerate() {
            ledger.configure(
                &name,
                if number == 0 {
                    Api::PortSip
                } else {
                    Api::HostedSuite
                },
            );
            let mut builder = CallsBuilder::with_capacity(calls.len());
            for call in &calls {
                let reading =
                    |place: usize| call.times[place].map_or(Reading::Missing, Reading::Known);
                builder.append(&Call {
                    client_id: call.client.as_deref(),
                    center_id: call.center.as_deref(),
                    call_type: call.call_type.as_deref(),
                    duration_ms: reading(0),
                    ring_ms: reading(1),
                    hold_ms: reading(2),
                    talk_ms: reading(3),
                    transfer_ms: reading(4),
                    work_ms: reading(5),
                    ..Call::default()
                });
            }
            let head = BatchHead {
                account: &name,
                first_sequence: 1,
                observed_at: 1_700_000_000_000_000,
            };
            let batch = builder.finish(&head).unwrap();
            ledger
                .apply(number as u64 + 1, Stream::Calls, &batch)
                .unwrap();
            let clients = uses.iter().map(|(client, ..)| Client {
                client_id: client.clone(),
                ..Client::default()
            });
            ledger.set_clients(&name, 7, clients.collect());
            let uses = uses
                .into_iter()
                .map(|(client, balance, minutes)| AllowanceUse {
                    client_name: Some(client.clone()),
                    // An empty id is none.
                    client_id: Some(client),
                    allowance: minutes.map(|minutes| minutes.to_string()),
                    third_party_account_id: None,
                    balance_nano: balance.map(i128::from),
                    calls_nano: None,
                    minutes_nano: minutes.map(i128::from),
                    counted_calls: None,
                });
            ledger.set_allowances(&name, (0, 100), 50, uses.collect());
            ledger.set_billing(
                &name,
                &Billing {
                    balance_nano: balance,
                    ..Billing::default()
                },
            );
        }
        Arc::new(Meter::new(ledger))
    })
}

fn any_registry() -> impl Strategy<Value = Registry> {
    let gauges = proptest::collection::vec((any_text(), any_float()), 0..6);
    let counts = proptest::collection::vec((any_text(), any::<u64>()), 0..6);
    let observations = proptest::collection::vec((any_text(), any_float()), 0..12);
    (gauges, counts, observations, any_text()).prop_map(|(gauges, counts, observations, help)| {
        let registry = Registry::new();
        // The crate refuses an empty help.
        let help = format!("help {help}");
        let gauge = GaugeVec::new(Opts::new("some_gauge", &help), &["label"]).unwrap();
        for (label, value) in gauges {
            gauge.with_label_values(&[label]).set(value);
        }
        let counter = IntCounterVec::new(Opts::new("some_total", &help), &["label"]).unwrap();
        for (label, value) in counts {
            counter.with_label_values(&[label]).inc_by(value >> 1);
        }
        let options = HistogramOpts::new("some_seconds", &help).buckets(vec![-1.0, 0.25, 7.0]);
        let histogram = HistogramVec::new(options, &["label"]).unwrap();
        for (label, value) in observations {
            histogram.with_label_values(&[label]).observe(value);
        }
        registry.register(Box::new(gauge)).unwrap();
        registry.register(Box::new(counter)).unwrap();
        registry.register(Box::new(histogram)).unwrap();
        registry
    })
}

/// Header lines, and the value of every sample by the text before it. Order is not part of it.
#[derive(Debug, Default, PartialEq)]
struct Parsed {
    headers: BTreeSet<String>,
    samples: BTreeMap<String, Vec<u64>>,
}

fn bits(value: f64) -> u64 {
    if value.is_nan() {
        f64::NAN.to_bits()
    } else {
        value.to_bits()
    }
}

fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for line in text.lines() {
        if line.starts_with('#') {
            assert!(parsed.headers.insert(line.to_owned()), "twice: {line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let value = value.parse::<f64>().unwrap();
        parsed
            .samples
            .entry(series.to_owned())
            .or_default()
            .push(bits(value));
    }
    parsed
        .samples
        .values_mut()
        .for_each(|values| values.sort_unstable());
    parsed
}

fn ours(meter: &Meter, registry: &Registry, format: Format) -> Vec<u8> {
    let options = Options::default();
    Exposition::new(meter.snapshot(), registry.gather(), format, options)
        .collect::<Vec<_>>()
        .concat()
}

fn ours_text(meter: &Meter, registry: &Registry, format: Format) -> String {
    String::from_utf8(ours(meter, registry, format)).unwrap()
}

/// What the `prometheus` crate writes of the same.
fn theirs(meter: &Arc<Meter>, registry: &Registry) -> String {
    let whole = Registry::new();
    whole
        .register(Box::new(SnapshotCollector::new(Arc::clone(meter)).unwrap()))
        .unwrap();
    let mut families = whole.gather();
    families.extend(registry.gather());
    let mut text = Vec::new();
    TextEncoder::new().encode(&families, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// The OpenMetrics text with what differs from the text format put back.
fn without_openmetrics_ways(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let body = text.strip_suffix("# EOF\n").expect("an end line");
    for line in body.lines() {
        if line.starts_with("# UNIT") {
            continue;
        }
        if let Some(rest) = line.strip_prefix("# HELP ") {
            lines.push(format!("# HELP {}", rest.replace("\\\"", "\"")));
        } else if line.starts_with("# TYPE ") && line.ends_with(" counter") {
            let name = line.split(' ').nth(2).unwrap();
            lines.push(format!("# TYPE {name}_total counter"));
            // Its help line came just before.
            let help = lines.iter_mut().rev().nth(1).unwrap();
            *help = help.replacen(name, &format!("{name}_total"), 1);
        } else if line.contains("_bucket{") {
            lines.push(line.replacen(".0\"} ", "\"} ", 1));
        } else {
            lines.push(line.to_owned());
        }
    }
    lines.join("\n")
}

/// What protobuf says, as text lines.
fn from_protobuf(body: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    let escape = |text: &str, quotes: bool| {
        let text = text.replace('\\', "\\\\").replace('\n', "\\n");
        if quotes {
            text.replace('"', "\\\"")
        } else {
            text
        }
    };
    for family in proto::decode(body) {
        let name = &family.name;
        let kind = match family.r#type() {
            proto::MetricType::Counter => "counter",
            proto::MetricType::Gauge => "gauge",
            proto::MetricType::Histogram => "histogram",
            other => panic!("{other:?}"),
        };
        parsed
            .headers
            .insert(format!("# HELP {name} {}", escape(&family.help, false)));
        parsed.headers.insert(format!("# TYPE {name} {kind}"));
        for metric in &family.metric {
            let labels = metric
                .label
                .iter()
                .map(|pair| format!("{}=\"{}\"", pair.name, escape(&pair.value, true)));
            let labels = labels.collect::<Vec<_>>().join(",");
            let mut add = |suffix: &str, extra: String, value: f64| {
                let comma = if labels.is_empty() || extra.is_empty() {
                    ""
                } else {
                    ","
                };
                let all = format!("{labels}{comma}{extra}");
                let series = if all.is_empty() {
                    format!("{name}{suffix}")
                } else {
                    format!("{name}{suffix}{{{all}}}")
                };
                parsed.samples.entry(series).or_default().push(bits(value));
            };
            match kind {
                "counter" => add("", String::new(), metric.counter.unwrap().value.unwrap()),
                "gauge" => add("", String::new(), metric.gauge.unwrap().value.unwrap()),
                _ => {
                    let histogram = metric.histogram.as_ref().unwrap();
                    #[expect(clippy::cast_precision_loss, reason = "as the text's reader does")]
                    for bucket in &histogram.bucket {
                        let bound = bucket.upper_bound;
                        let bound = if bound == f64::INFINITY {
                            "+Inf".into()
                        } else {
                            bound.to_string()
                        };
                        add(
                            "_bucket",
                            format!("le=\"{bound}\""),
                            bucket.cumulative_count as f64,
                        );
                    }
                    add("_sum", String::new(), histogram.sample_sum);
                    #[expect(clippy::cast_precision_loss, reason = "as the text's reader does")]
                    add("_count", String::new(), histogram.sample_count as f64);
                    check_native(histogram);
                }
            }
        }
    }
    parsed
        .samples
        .values_mut()
        .for_each(|values| values.sort_unstable());
    parsed
}

/// Native buckets, where there are any, hold each observation once.
fn check_native(histogram: &proto::Histogram) {
    let Some(zeros) = histogram.zero_count else {
        return;
    };
    let mut count = 0;
    let mut all = zeros;
    for delta in &histogram.positive_delta {
        count += delta;
        all += u64::try_from(count).expect("no bucket holds less than nothing");
    }
    assert_eq!(all, histogram.sample_count);
    let slots: u32 = histogram.positive_span.iter().map(|span| span.length).sum();
    assert_eq!(slots as usize, histogram.positive_delta.len());
    assert!(!histogram.positive_span.is_empty());
}

const TEXT: Format = Format::Text(TextVersion::V0_0_4);
const OPEN_METRICS: Format = Format::OpenMetrics(OpenMetricsVersion::V1_0_0);

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn all_formats_say_what_the_prometheus_crate_says(meter in any_meter(), registry in any_registry()) {
        let theirs = parse(&theirs(&meter, &registry));
        prop_assert_eq!(&parse(&ours_text(&meter, &registry, TEXT)), &theirs);
        let open_metrics = ours_text(&meter, &registry, OPEN_METRICS);
        prop_assert_eq!(&parse(&without_openmetrics_ways(&open_metrics)), &theirs);
        prop_assert_eq!(&from_protobuf(&ours(&meter, &registry, Format::Protobuf)), &theirs);
    }
}

#[test]
fn the_small_world_too() {
    let (meter, registry) = (world::small_meter(), world::small_registry());
    let theirs = parse(&theirs(&meter, &registry));
    assert_eq!(parse(&ours_text(&meter, &registry, TEXT)), theirs);
    assert_eq!(
        from_protobuf(&ours(&meter, &registry, Format::Protobuf)),
        theirs
    );
}
