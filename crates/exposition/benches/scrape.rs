//! A scrape of 100,000 series in each format, against the `prometheus` crate on the same figures
//! and against copying the bytes.
//!
//! `cargo bench -p callmeter-exposition`

#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot run has nothing to say"
)]

use std::io::Write as _;
use std::sync::{Arc, LazyLock};

use callmeter_exposition::{
    Coding, Compressed, Exposition, Format, OpenMetricsVersion, Options, SnapshotCollector,
    TextVersion,
};
use callmeter_meter::{Api, Ledger, Limits, Meter, View};
use callmeter_records::{BatchHead, Call, CallsBuilder, Reading, Stream};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use flate2::Compression;
use flate2::write::GzEncoder;
use prometheus::{Encoder as _, IntCounterVec, Opts, Registry, TextEncoder};

const TEXT: Format = Format::Text(TextVersion::V0_0_4);
const OPEN_METRICS: Format = Format::OpenMetrics(OpenMetricsVersion::V1_0_0);

/// About 100,000 series: histograms of calls, mostly.
static CALLS: LazyLock<Arc<Meter>> = LazyLock::new(|| meter(900, 1));
/// As many clients as make 100,002 series of the three calls counters; see [`COUNTER_FAMILIES`].
static COUNTERS: LazyLock<Arc<Meter>> = LazyLock::new(|| {
    let mut ledger = Ledger::new(Limits {
        label_sets: 1_000_000,
        ..Limits::default()
    });
    ledger.set_view(View {
        client_histograms: true,
        ..View::everything()
    });
    ledger.configure("acme", Api::HostedSuite);
    let clients = (0..16_667).map(|number| callmeter_meter::Client {
        client_id: format!("client-{number:06}"),
        center_id: Some(format!("center-{}", number % 10)),
        ..Default::default()
    });
    ledger.set_clients("acme", 1_700_000_000_000_000, clients.collect());
    Arc::new(Meter::new(ledger))
});

fn meter(clients: usize, rounds: usize) -> Arc<Meter> {
    let mut ledger = Ledger::new(Limits {
        label_sets: 1_000_000,
        ..Limits::default()
    });
    ledger.set_view(View {
        client_histograms: true,
        ..View::everything()
    });
    ledger.configure("acme", Api::HostedSuite);
    let mut builder = CallsBuilder::with_capacity(clients);
    for round in 0..rounds {
        for number in 0..clients {
            let client = format!("client-{number:06}");
            let center = format!("center-{}", number % 10);
            let mixed = (round * clients + number).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
            let time = |of: usize| Reading::Known(i64::try_from(mixed / of % 600_000).unwrap_or(0));
            builder.append(&Call {
                id: Some("an id"),
                client_id: Some(&client),
                center_id: Some(&center),
                call_type: Some("Incoming"),
                duration_ms: time(3),
                ring_ms: time(5),
                hold_ms: time(7),
                talk_ms: time(11),
                transfer_ms: Reading::Known(0),
                work_ms: time(13),
                ..Call::default()
            });
        }
    }
    let head = BatchHead {
        account: "acme",
        first_sequence: 1,
        observed_at: 1_700_000_000_000_000,
    };
    ledger
        .apply(1, Stream::Calls, &builder.finish(&head).unwrap())
        .unwrap();
    Arc::new(Meter::new(ledger))
}

fn main() {
    println!("calls: {} series", CALLS.snapshot().series());
    divan::main();
}

/// Chunks written one after the other into one place, as into a socket.
fn drain(chunks: impl Iterator<Item = bytes::Bytes>) -> usize {
    chunks.map(|chunk| divan::black_box(&chunk).len()).sum()
}

fn scrape(meter: &Meter, format: Format) -> usize {
    drain(Exposition::new(
        meter.snapshot(),
        Vec::new(),
        format,
        Options::default(),
    ))
}

fn measure(bencher: Bencher<'_, '_>, meter: &Meter, mut work: impl FnMut() -> usize) {
    let series = meter.snapshot().series();
    let bytes = work();
    let bencher = bencher
        .counter(ItemsCount::new(series))
        .counter(BytesCount::new(bytes));
    bencher.bench_local(work);
}

#[divan::bench]
fn calls_text(bencher: Bencher<'_, '_>) {
    measure(bencher, &CALLS, || scrape(&CALLS, TEXT));
}

#[divan::bench]
fn calls_openmetrics(bencher: Bencher<'_, '_>) {
    measure(bencher, &CALLS, || scrape(&CALLS, OPEN_METRICS));
}

#[divan::bench]
fn calls_protobuf(bencher: Bencher<'_, '_>) {
    measure(bencher, &CALLS, || scrape(&CALLS, Format::Protobuf));
}

fn compressed(meter: &Meter, coding: Coding) -> usize {
    let chunks = Exposition::new(meter.snapshot(), Vec::new(), TEXT, Options::default());
    let chunks = Compressed::new(chunks, coding).unwrap();
    chunks.map(|chunk| chunk.unwrap().len()).sum()
}

#[divan::bench]
fn calls_text_gzip(bencher: Bencher<'_, '_>) {
    measure(bencher, &CALLS, || compressed(&CALLS, Coding::Gzip));
}

#[divan::bench]
fn calls_text_zstd(bencher: Bencher<'_, '_>) {
    measure(bencher, &CALLS, || compressed(&CALLS, Coding::Zstd));
}

/// The same text by gzip alone, at the same level.
#[divan::bench]
fn calls_gzip_alone(bencher: Bencher<'_, '_>) {
    let chunks = Exposition::new(CALLS.snapshot(), Vec::new(), TEXT, Options::default());
    let body: Vec<u8> = chunks.collect::<Vec<_>>().concat();
    measure(bencher, &CALLS, || {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(1));
        encoder.write_all(divan::black_box(&body)).unwrap();
        encoder.finish().unwrap().len()
    });
}

/// The snapshot by way of the `prometheus` crate: gather and its text encoder.
#[divan::bench(sample_count = 20)]
fn calls_by_prometheus_crate(bencher: Bencher<'_, '_>) {
    let registry = Registry::new();
    registry
        .register(Box::new(
            SnapshotCollector::new(Arc::clone(&CALLS)).unwrap(),
        ))
        .unwrap();
    measure(bencher, &CALLS, || {
        let mut text = Vec::new();
        TextEncoder::new()
            .encode(&registry.gather(), &mut text)
            .unwrap();
        text.len()
    });
}

/// The least that a scrape can cost: its bytes, copied once.
#[divan::bench]
fn calls_copy_of_the_text(bencher: Bencher<'_, '_>) {
    let chunks = Exposition::new(CALLS.snapshot(), Vec::new(), TEXT, Options::default());
    let body: Vec<u8> = chunks.collect::<Vec<_>>().concat();
    let mut copy = Vec::with_capacity(body.len());
    measure(bencher, &CALLS, || {
        copy.clear();
        copy.write_all(divan::black_box(&body)).unwrap();
        copy.len()
    });
}

const COUNTER_FAMILIES: [&str; 3] = [
    "callmeter_calls_total",
    "callmeter_calls_unanswered_total",
    "callmeter_calls_flagged_total",
];
const COUNTER_SERIES: usize = 16_667 * 2 * COUNTER_FAMILIES.len();

fn scrape_counters(bencher: Bencher<'_, '_>, format: Format) {
    let options = Options {
        names: COUNTER_FAMILIES.iter().map(ToString::to_string).collect(),
        ..Options::default()
    };
    bencher
        .counter(ItemsCount::new(COUNTER_SERIES))
        .bench_local(|| {
            let snapshot = COUNTERS.snapshot();
            drain(Exposition::new(
                snapshot,
                Vec::new(),
                format,
                options.clone(),
            ))
        });
}

#[divan::bench]
fn counters_text(bencher: Bencher<'_, '_>) {
    scrape_counters(bencher, TEXT);
}

#[divan::bench]
fn counters_protobuf(bencher: Bencher<'_, '_>) {
    scrape_counters(bencher, Format::Protobuf);
}

/// As many counters with as many labels, kept in the `prometheus` crate itself.
#[divan::bench(sample_count = 20)]
fn counters_in_prometheus_crate(bencher: Bencher<'_, '_>) {
    let registry = Registry::new();
    for name in ["calls_total", "unanswered_total", "flagged_total"] {
        let labels = ["account", "client_id", "center_id", "direction"];
        let family = IntCounterVec::new(Opts::new(name, "Calls counted."), &labels).unwrap();
        for number in 0..16_667 {
            for direction in ["incoming", "outgoing"] {
                let (client, center) = (
                    format!("client-{number:06}"),
                    format!("center-{}", number % 10),
                );
                family
                    .with_label_values(&["acme", &client, &center, direction])
                    .inc();
            }
        }
        registry.register(Box::new(family)).unwrap();
    }
    bencher
        .counter(ItemsCount::new(COUNTER_SERIES))
        .bench_local(|| {
            let mut text = Vec::new();
            TextEncoder::new()
                .encode(&registry.gather(), &mut text)
                .unwrap();
            text.len()
        });
}
