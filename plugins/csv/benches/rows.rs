//! The cost of a row: through the whole output into a file, and the same rows by the `csv` crate
//! from the same batch.
//!
//! `cargo bench -p callmeter-plugin-csv`. Divide a time by 1,000 for the time of a row.

#![allow(missing_docs, reason = "divan's macros make public items")]
#![allow(dead_code, clippy::unwrap_used, reason = "the tests' helpers")]

#[path = "../src/testing.rs"]
mod testing;

use callmeter_csv::CsvOutput;
use callmeter_plugin_sdk::batch::Value;
use callmeter_plugin_sdk::{Deadline, Host, OutputPlugin as _};
use divan::Bencher;
use divan::counter::ItemsCount;
use testing::{AUGUST_6, batch, calls};

const ROWS: usize = 1000;

fn main() {
    divan::main();
}

/// Write and flush of a batch of 1,000 calls; the flush syncs file, state and directory.
#[divan::bench(args = [1, 20])]
fn output(bencher: Bencher<'_, '_>, batches_per_flush: u64) {
    let directory = tempfile::tempdir().unwrap();
    let config =
        serde_json::from_value(serde_json::json!({"directory": directory.path()})).unwrap();
    let mut output = CsvOutput::create(Host::for_tests("bench"), config).unwrap();
    let mut number = 0;
    bencher
        .counter(ItemsCount::new(ROWS as u64 * batches_per_flush))
        .with_inputs(|| {
            (0..batches_per_flush)
                .map(|_| {
                    number += 1;
                    batch(number, calls(1, ROWS, AUGUST_6))
                })
                .collect::<Vec<_>>()
        })
        .bench_local_values(|batches| {
            for batch in batches {
                output.write(batch).unwrap();
            }
            output
                .flush(Deadline::within(std::time::Duration::from_secs(9)))
                .unwrap();
        });
}

/// Write alone: formatting, and one `write` into the page cache.
#[divan::bench]
fn write(bencher: Bencher<'_, '_>) {
    let directory = tempfile::tempdir().unwrap();
    let config =
        serde_json::from_value(serde_json::json!({"directory": directory.path()})).unwrap();
    let mut output = CsvOutput::create(Host::for_tests("bench"), config).unwrap();
    let mut number = 0;
    bencher
        .counter(ItemsCount::new(ROWS))
        .with_inputs(|| {
            number += 1;
            batch(number, calls(1, ROWS, AUGUST_6))
        })
        .bench_local_values(|batch| output.write(batch).unwrap());
}

/// The same rows by the `csv` crate and the SDK's own texts, into memory.
#[divan::bench]
fn csv_crate(bencher: Bencher<'_, '_>) {
    let batch = batch(1, calls(1, ROWS, AUGUST_6));
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| {
        let mut writer = csv::Writer::from_writer(Vec::with_capacity(1 << 20));
        for row in batch.rows() {
            for (_, value) in row.iter() {
                match value {
                    Value::Null => writer.write_field(b""),
                    Value::Text(text) => writer.write_field(text),
                    Value::Int(number) => writer.write_field(number.to_string()),
                    Value::Timestamp(time) => writer.write_field(time.to_string()),
                    other => writer.write_field(serde_json::to_string(&other).unwrap()),
                }
                .unwrap();
            }
            writer.write_record(None::<&[u8]>).unwrap();
        }
        writer.into_inner().unwrap()
    });
}
