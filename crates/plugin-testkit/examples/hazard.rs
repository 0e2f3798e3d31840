//! A plugin that misbehaves in a chosen way at a chosen place, once or always, and otherwise writes
//! the sequence of every record to a file. For the tests of the host.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    reason = "it is here to do harm"
)]

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use callmeter_plugin_sdk::batch::Value;
use callmeter_plugin_sdk::{Batch, Deadline, Durable, Fail, Fatal, Host, Outcome, OutputPlugin};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where sequences are written.
    out: PathBuf,
    /// `create`, `write`, `flush`, `drop` or `thread`.
    at: String,
    /// What it does there.
    harm: String,
    /// Only if this file does not exist; it is created first.
    once: Option<PathBuf>,
    /// Takes batches and does nothing with them.
    #[serde(default)]
    ignore: bool,
    /// Only from this batch on.
    #[serde(default)]
    from_batch: u64,
}

struct Hazard {
    host: Host,
    config: Config,
    out: File,
    batches: u64,
}

/// A payload whose drop panics as well.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the payload's drop panics");
    }
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn overflow(depth: u64) -> u64 {
    let page = [depth; 512];
    overflow(std::hint::black_box(page)[7] + 1) + 1
}

impl Hazard {
    fn harm(&self, place: &str) {
        if self.config.at != place || self.batches < self.config.from_batch {
            return;
        }
        if let Some(once) = &self.config.once
            && File::options()
                .write(true)
                .create_new(true)
                .open(once)
                .is_err()
        {
            return;
        }
        match self.config.harm.as_str() {
            "panic" => panic!("the hazard panics in {place}"),
            "panic with a number" => std::panic::panic_any(7_u8),
            "panic with a bomb" => std::panic::panic_any(Bomb),
            "panic at length" => panic!("{}", "x".repeat(1 << 20)),
            "panic with a zero" => panic!("a\0b"),
            "abort" => std::process::abort(),
            "exit" => std::process::exit(3),
            // SAFETY: none; it is here to end the process.
            "segfault" => unsafe { std::ptr::null_mut::<u8>().write_volatile(1) },
            "overflow the stack" => {
                std::hint::black_box(overflow(0));
            }
            "sleep for ever" => loop {
                std::thread::sleep(Duration::from_secs(60));
            },
            "sleep until cancelled" => {
                self.host.sleep(Duration::from_secs(10 * 60));
            }
            "print to stdout" => println!("noise on standard output"),
            "close every file" => {
                for descriptor in 0..64 {
                    // SAFETY: none; it is here to break the pipes.
                    unsafe { libc::close(descriptor) };
                }
            }
            other => panic!("there is no hazard `{other}`"),
        }
    }
}

impl OutputPlugin for Hazard {
    const NAME: &'static str = "hazard";
    const CONFIG_SCHEMA: Option<&'static str> = Some("{\n  \"type\": \"object\"\n}");
    type Config = Config;

    fn create(host: Host, config: Config) -> Result<Self, Fatal> {
        let out = File::options()
            .append(true)
            .create(true)
            .open(&config.out)?;
        let hazard = Self {
            host,
            config,
            out,
            batches: 0,
        };
        hazard.host.info("created");
        hazard.harm("create");
        if hazard.config.at == "thread" {
            let harm = hazard.config.harm.clone();
            let ended = std::thread::spawn(move || assert!(harm != "panic", "in a thread")).join();
            hazard
                .host
                .warn(format_args!("the thread ended: {}", ended.is_ok()));
        }
        Ok(hazard)
    }

    fn write(&mut self, batch: Batch) -> Outcome {
        self.batches += 1;
        self.harm("write");
        if self.config.ignore {
            return Ok(());
        }
        let mut lines = Vec::new();
        for row in batch.rows() {
            if let Value::Int(sequence) = row.get("sequence") {
                writeln!(lines, "{} {sequence}", batch.stream().name())?;
            }
        }
        Ok(self.out.write_all(&lines)?)
    }

    fn flush(&mut self, _: Deadline) -> Result<Durable, Fail> {
        self.harm("flush");
        self.out.sync_data()?;
        Ok(Durable::All)
    }
}

impl Drop for Hazard {
    fn drop(&mut self) {
        self.harm("drop");
    }
}

callmeter_plugin_sdk::export!(Hazard);
