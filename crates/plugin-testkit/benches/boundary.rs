//! What the boundary costs for each record: batches of 1,000 calls through the whole delivery loop,
//! in this process and in a child. Items per second are records per second. The libraries come
//! first: `cargo build --release --examples -p callmeter-plugin-testkit`, and for the two outputs
//! `cargo build --release -p callmeter-plugin-csv -p callmeter-plugin-webhook`.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use callmeter_plugin_sdk::batch::Value;
use callmeter_plugin_sdk::{
    Batch, Deadline, Durable, Fail, Fatal, Host, Outcome, OutputPlugin, RawConfig,
};
use callmeter_plugin_testkit::generate::{self, Recipe};
use callmeter_plugin_testkit::host::PluginSource;
use callmeter_plugin_testkit::{Rig, RigOptions, Stream, built_library};
use divan::counter::ItemsCount;

const ROWS: usize = 1_000;
const BATCHES: usize = 32;

/// Accepts batches. With the configuration `touch` it reads every value, with any other none.
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

callmeter_plugin_sdk::export!(Sink);

fn main() {
    divan::main();
}

fn deliver(bencher: divan::Bencher<'_, '_>, options: impl Fn(&Path) -> RigOptions) {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::start(options(dir.path()));
    let records = generate::batch(Stream::Calls, Recipe::rows(ROWS));
    // The plugin is loaded before the measurement starts.
    rig.append(Stream::Calls, records.clone());
    rig.settle(Duration::from_secs(60)).unwrap();
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

fn statically(config: &'static str) -> impl Fn(&Path) -> RigOptions {
    move |dir| {
        let mut options = RigOptions::library("/none", dir).config(config);
        options.source = PluginSource::Static(callmeter_plugin_sdk::entry::init::<Sink>);
        options
    }
}

/// Only the crossing: export, checks, release.
#[divan::bench]
fn in_process_nothing_read(bencher: divan::Bencher<'_, '_>) {
    deliver(bencher, statically("\"\""));
}

/// The same, with every value of every column read.
#[divan::bench]
fn in_process_all_read(bencher: divan::Bencher<'_, '_>) {
    deliver(bencher, statically("\"touch\""));
}

fn lines(dir: &Path) -> RigOptions {
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

fn ignored(dir: &Path) -> RigOptions {
    let config = format!(
        r#"{{"out":"{}/out","at":"none","harm":"none","once":null,"ignore":true}}"#,
        dir.display()
    );
    RigOptions::library(built_library("hazard"), dir).config(config)
}

/// callmeter's CSV output: formatted, written and synced. Compare it with `rows` of
/// callmeter-plugin-csv, which writes the same without a host.
#[divan::bench]
fn in_process_csv(bencher: divan::Bencher<'_, '_>) {
    deliver(bencher, csv);
}

/// The same in a child process.
#[divan::bench]
fn isolated_csv(bencher: divan::Bencher<'_, '_>) {
    deliver(bencher, |dir| {
        csv(dir).isolated(env!("CARGO_BIN_EXE_plugin_child"))
    });
}

/// callmeter's webhook output, posting to a receiver on this machine.
#[divan::bench]
fn in_process_webhook(bencher: divan::Bencher<'_, '_>) {
    let url = receiver();
    deliver(bencher, |dir| webhook(dir, &url));
}

/// The same in a child process.
#[divan::bench]
fn isolated_webhook(bencher: divan::Bencher<'_, '_>) {
    let url = receiver();
    deliver(bencher, |dir| {
        webhook(dir, &url).isolated(env!("CARGO_BIN_EXE_plugin_child"))
    });
}

fn csv(dir: &Path) -> RigOptions {
    let config = format!(r#"{{"directory":"{}/csv"}}"#, dir.display());
    RigOptions::library(built_library("callmeter_csv"), dir).config(config)
}

fn webhook(dir: &Path, url: &str) -> RigOptions {
    let config = format!(r#"{{"url":"{url}","batch":{ROWS}}}"#);
    RigOptions::library(built_library("callmeter_webhook"), dir).config(config)
}

/// Listens until the program ends, and answers 200 to whatever is posted.
fn receiver() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    format!("http://{address}/")
}

fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    }
}
