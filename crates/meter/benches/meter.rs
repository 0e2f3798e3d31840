//! Counting pages of calls, snapshots of many series, and the totals as bytes.
//!
//! `cargo bench -p callmeter-meter`; the memory per series is printed first.

#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot run has nothing to say"
)]

use std::hint::black_box;
use std::sync::Arc;

use arrow_array::RecordBatch;
use callmeter_meter::{Api, Ledger, Limits, Meter, View};
use callmeter_records::{BatchHead, Call, CallsBuilder, Reading, Stream};
use divan::Bencher;
use divan::counter::ItemsCount;

const PAGE: usize = 1_000;

/// A page of calls spread over clients.
fn page(clients: usize, seed: usize) -> RecordBatch {
    let mut builder = CallsBuilder::with_capacity(PAGE);
    for number in 0..PAGE {
        let mixed = (seed * PAGE + number).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        let client = format!("client-{:06}", mixed % clients);
        let center = format!("center-{}", mixed % clients % 10);
        let time = |of: usize| Reading::Known(i64::try_from(mixed / of % 600_000).unwrap_or(0));
        builder.append(&Call {
            id: Some("an id that does not matter"),
            client_id: Some(&client),
            center_id: Some(&center),
            call_type: Some(if mixed.is_multiple_of(5) {
                "Outgoing"
            } else {
                "Incoming"
            }),
            answered_by: Some("operator"),
            duration_ms: time(3),
            ring_ms: time(5),
            hold_ms: time(7),
            talk_ms: time(11),
            transfer_ms: Reading::Known(0),
            work_ms: time(13),
            ..Call::default()
        });
    }
    let head = BatchHead {
        account: "acme",
        first_sequence: 1,
        observed_at: 1_700_000_000_000_000,
    };
    builder.finish(&head).unwrap()
}

/// A ledger with calls of so many clients, which come to some 200 series each.
fn ledger(clients: usize) -> Ledger {
    let mut ledger = Ledger::new(Limits {
        label_sets: 1_000_000,
        ..Limits::default()
    });
    ledger.set_view(View {
        client_histograms: true,
        ..View::everything()
    });
    ledger.configure("acme", Api::HostedSuite);
    for number in 0..clients.div_ceil(100) {
        let batch = page(clients, number);
        ledger
            .apply(number as u64 + 1, Stream::Calls, &batch)
            .unwrap();
    }
    ledger
}

fn main() {
    for clients in [480, 4_800] {
        let mut ledger = ledger(clients);
        let series = ledger.snapshot().series();
        let (bytes, text) = ledger.resident_bytes();
        println!(
            "{series} series: {} bytes a series beside {} of label text; as bytes {} KiB",
            (bytes - text) / series,
            text / series,
            ledger.encode().len() / 1024,
        );
    }
    divan::main();
}

/// Counting a page after a snapshot was taken: what a scrape between two pages costs a poll.
#[divan::bench(args = [480, 4_800])]
fn apply_after_snapshot(bencher: Bencher<'_, '_>, clients: usize) {
    let meter = Meter::new(ledger(clients));
    let mut number = 1_000_000;
    let pages: Vec<_> = (0..16).map(|seed| page(clients, 10_000 + seed)).collect();
    let mut pages = pages.iter().cycle();
    bencher.counter(ItemsCount::new(PAGE)).bench_local(|| {
        let held = meter.snapshot();
        number += 1;
        let page = pages.next().unwrap();
        meter.update(|ledger| ledger.apply(number, Stream::Calls, page).unwrap());
        held
    });
}

/// Counting alone: no snapshot, nothing to copy.
#[divan::bench(args = [480, 4_800])]
fn apply(bencher: Bencher<'_, '_>, clients: usize) {
    let mut ledger = ledger(clients);
    let mut number = 1_000_000;
    let pages: Vec<_> = (0..16).map(|seed| page(clients, 10_000 + seed)).collect();
    let mut pages = pages.iter().cycle();
    bencher.counter(ItemsCount::new(PAGE)).bench_local(|| {
        number += 1;
        let page = pages.next().unwrap();
        ledger.apply(number, Stream::Calls, page).unwrap()
    });
}

/// A snapshot after one call was counted: the highest cost for a scrape.
#[divan::bench(args = [480, 4_800])]
fn snapshot_after_change(bencher: Bencher<'_, '_>, clients: usize) {
    let meter = Meter::new(ledger(clients));
    let one = page(clients, 7).slice(0, 1);
    let mut number = 1_000_000;
    bencher.bench_local(|| {
        number += 1;
        meter.update(|ledger| ledger.apply(number, Stream::Calls, &one).unwrap());
        meter.snapshot()
    });
}

/// A snapshot after nothing changed.
#[divan::bench]
fn snapshot_again(bencher: Bencher<'_, '_>) {
    let meter = Arc::new(Meter::new(ledger(480)));
    bencher.bench_local(|| black_box(meter.snapshot()));
}

#[divan::bench(args = [480, 4_800])]
fn encode(bencher: Bencher<'_, '_>, clients: usize) {
    let ledger = ledger(clients);
    bencher.bench_local(|| ledger.encode());
}

#[divan::bench(args = [480, 4_800])]
fn decode(bencher: Bencher<'_, '_>, clients: usize) {
    let bytes = ledger(clients).encode();
    bencher.bench_local(|| Ledger::decode(&bytes, Limits::default()).unwrap());
}
