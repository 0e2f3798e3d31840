//! The SDK for output plugins of callmeter.
//!
//! A plugin is a shared library that callmeter loads and gives every record to: calls, allowance
//! balances, call rates and billing settings. An author writes a struct and three functions:
//!
//! ```
//! use std::io::Write as _;
//! use callmeter_plugin_sdk::{Batch, Deadline, Durable, Fail, Fatal, Host, Outcome, OutputPlugin};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     path: std::path::PathBuf,
//! }
//!
//! struct TalkTimes(std::fs::File);
//!
//! impl OutputPlugin for TalkTimes {
//!     const NAME: &'static str = "talk-times";
//!     type Config = Config;
//!
//!     fn create(_host: Host, config: Config) -> Result<Self, Fatal> {
//!         Ok(Self(std::fs::File::options().append(true).create(true).open(config.path)?))
//!     }
//!
//!     fn write(&mut self, batch: Batch) -> Outcome {
//!         for call in batch.calls()? {
//!             writeln!(self.0, "{} {}", call.id().unwrap_or("-"), call.talk_ms().unwrap_or(0))?;
//!         }
//!         Ok(())
//!     }
//!
//!     fn flush(&mut self, _until: Deadline) -> Result<Durable, Fail> {
//!         self.0.sync_data()?;
//!         Ok(Durable::All)
//!     }
//! }
//!
//! callmeter_plugin_sdk::export!(TalkTimes);
//! ```
//!
//! `Ok` from `write` means "accepted". Batches that were not flushed are sent again after a crash,
//! with the same [`Batch::id`]. A panic ends the instance, not the process: callmeter creates a new
//! one and sends the unflushed batches again.
//!
//! Build it as `crate-type = ["cdylib", "rlib"]` with `panic = "unwind"` (the default), and link it
//! with `-z nodelete`.
//!
//! Features: `serde` (default) for typed configuration and JSON; `arrow-60` to turn a batch into an
//! arrow-rs `RecordBatch`; `tracing` to send a plugin's own `tracing` events to callmeter's log.
// The boundary to C is here; each block says why it is sound.
#![allow(unsafe_code)]

#[cfg(panic = "abort")]
compile_error!(
    "build plugins with panic = \"unwind\": with \"abort\" a panic in a plugin ends callmeter"
);

pub use callmeter_plugin_abi as abi;

#[cfg(feature = "arrow-60")]
mod arrow;
pub mod batch;
mod config;
#[doc(hidden)]
pub mod entry;
mod export;
mod host;
mod outcome;
mod output_plugin;
#[cfg(feature = "tracing")]
pub mod trace;

pub use callmeter_error_chain::chain as error_chain;

pub use batch::{Batch, BatchError, Stream};
pub use config::{FromConfig, RawConfig};
pub use host::Host;
pub use outcome::{Deadline, Durable, Fail, Fatal, Outcome};
pub use output_plugin::OutputPlugin;

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
