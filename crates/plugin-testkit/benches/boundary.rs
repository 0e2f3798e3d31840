//! What the boundary costs for each record: batches of 1,000 calls through the whole delivery loop,
//! in this process and in a child. Items per second are records per second. The libraries come first:
//! `cargo build --release --examples -p callmeter-plugin-testkit`.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::time::Duration;

use callmeter_plugin::batch::Value;
use callmeter_plugin::{
    Batch, Deadline, Durable, Fail, Fatal, Host, Outcome, OutputPlugin, RawConfig,
};
use callmeter_plugin_testkit::generate::{self, Recipe};
use callmeter_plugin_testkit::host::PluginSource;
use callmeter_plugin_testkit::{Rig, RigOptions, Stream, built_library};
use divan::counter::ItemsCount;

const ROWS: usize = 1_000;
const BATCHES: usize = 32;

/// Takes batches: of its configuration, `touch` reads every value, anything else none.
struct Sink {
    touch: bool,
}

impl OutputPlugin for Sink {
    const NAME: &'static str = "sink";
    type Config = RawConfig;

    fn create(_: Host, config: RawConfig) -> Result<Self, Fatal> {
        Ok(Self {
            touch: config.0 == b"\"touch\"",
        })
    }

    fn write(&mut self, batch: Batch) -> Outcome {
        if self.touch {
            for row in batch.rows() {
                for (_, value) in row.iter() {
                    if let Value::Text(text) = value {
                        divan::black_box(text);
                    }
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self, _: Deadline) -> Result<Durable, Fail> {
        Ok(Durable::All)
    }
}

callmeter_plugin::export!(Sink);

fn main() {
    divan::main();
}

fn deliver(bencher: divan::Bencher<'_, '_>, options: impl Fn(&std::path::Path) -> RigOptions) {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(options(dir.path()));
    let records = generate::batch(Stream::Calls, Recipe::rows(ROWS));
    // The plugin is there before the clock runs.
    rig.append(Stream::Calls, records.clone());
    rig.settle(Duration::from_mins(1)).unwrap();
    bencher
        .counter(ItemsCount::new(ROWS * BATCHES))
        .bench_local(|| {
            for _ in 0..BATCHES {
                rig.append(Stream::Calls, records.clone());
            }
            while !rig.settled() {
                std::thread::yield_now();
            }
        });
    assert!(rig.stop(Duration::from_secs(10)));
}

fn statically(config: &'static str) -> impl Fn(&std::path::Path) -> RigOptions {
    move |dir| {
        let mut options = RigOptions::library("/none", dir).config(config);
        options.source = PluginSource::Static(callmeter_plugin::entry::init::<Sink>);
        options
    }
}

/// The crossing alone: export, checks, release.
#[divan::bench]
fn in_process_nothing_read(bencher: divan::Bencher<'_, '_>) {
    deliver(bencher, statically("\"\""));
}

/// And every value of every column read.
#[divan::bench]
fn in_process_all_read(bencher: divan::Bencher<'_, '_>) {
    deliver(bencher, statically("\"touch\""));
}

fn lines(dir: &std::path::Path) -> RigOptions {
    let config = format!(r#"{{"path":"{}/lines"}}"#, dir.display());
    RigOptions::library(built_library("talk_times"), dir).config(config)
}

/// A plugin that writes a line for each call and syncs, loaded as a library.
#[divan::bench]
fn in_process_lines(bencher: divan::Bencher<'_, '_>) {
    deliver(bencher, lines);
}

/// The same in a child process.
#[divan::bench]
fn isolated_lines(bencher: divan::Bencher<'_, '_>) {
    deliver(bencher, |dir| {
        lines(dir).isolated(env!("CARGO_BIN_EXE_plugin_child"))
    });
}

/// A library that takes batches and does nothing, in this process.
#[divan::bench]
fn in_process_ignored(bencher: divan::Bencher<'_, '_>) {
    deliver(bencher, ignored);
}

/// The same in a child: the difference is the price of isolation.
#[divan::bench]
fn isolated_ignored(bencher: divan::Bencher<'_, '_>) {
    deliver(bencher, |dir| {
        ignored(dir).isolated(env!("CARGO_BIN_EXE_plugin_child"))
    });
}

fn ignored(dir: &std::path::Path) -> RigOptions {
    let config = format!(
        r#"{{"out":"{}/out","at":"none","harm":"none","once":null,"ignore":true}}"#,
        dir.display()
    );
    RigOptions::library(built_library("hazard"), dir).config(config)
}
