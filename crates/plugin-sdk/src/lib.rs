//! The SDK for output plugins of callmeter.
//!
//! A plugin is a shared library that callmeter loads and hands every record to: calls, allowance
//! balances, call rates, billing settings. An author writes a struct and three functions:
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
//! `Ok` from `write` means "accepted"; only `flush` makes callmeter forget a batch. Whatever was not
//! flushed comes again after a crash, with the same [`Batch::id`]. A panic ends the instance, not
//! the process: callmeter makes a new one and sends the unflushed batches again.
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
mod host;
mod outcome;
#[cfg(feature = "tracing")]
pub mod trace;

pub use batch::{Batch, BatchError, Stream};
pub use config::{FromConfig, RawConfig};
pub use host::Host;
pub use outcome::{Deadline, Durable, Fail, Fatal, Outcome};

/// An output of callmeter.
///
/// Calls on one value never overlap. They may come from different threads over time, but never from
/// one that runs an async runtime: blocking is fine. A plugin that wants a runtime makes its own.
/// It must leave alone what belongs to the process: signal handlers, the working directory, the
/// environment, the locale; it must not fork or exit.
///
/// Dropping the value ends the instance: join its threads there.
pub trait OutputPlugin: Sized + Send + 'static {
    /// The plugin's name, for people: letters, digits and `. _ + -`.
    const NAME: &'static str;

    /// A JSON Schema of [`OutputPlugin::Config`], shown by `callmeter plugin check`.
    const CONFIG_SCHEMA: Option<&'static str> = None;

    /// What `config:` of the output holds. Any `Deserialize` type with the feature `serde`, or
    /// [`RawConfig`].
    type Config: FromConfig;

    /// Makes an instance and checks its configuration in full. It does not wait for other systems:
    /// what is down now may be up when the first batch comes.
    fn create(host: Host, config: Self::Config) -> Result<Self, Fatal>;

    /// Takes a batch; `Ok` means accepted, perhaps only buffered. Batches of a stream come in order.
    /// A batch that was taken may be kept, and dropped later on any thread.
    fn write(&mut self, batch: Batch) -> Outcome;

    /// Makes durable what was accepted: written and synced, or acknowledged by the other side.
    /// Batches that are not durable by then come again after a restart.
    fn flush(&mut self, until: Deadline) -> Result<Durable, Fail>;
}

/// Makes the crate a plugin: exports the one function that callmeter calls, and places the note that
/// it reads before. Once per crate.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        const _: () = {
            const NAME_LEN: usize = <$plugin as $crate::OutputPlugin>::NAME.len() + 1;
            static NAME: [u8; NAME_LEN] =
                $crate::entry::terminated(<$plugin as $crate::OutputPlugin>::NAME);
            const SCHEMA: &str = match <$plugin as $crate::OutputPlugin>::CONFIG_SCHEMA {
                Some(schema) => schema,
                None => "",
            };
            static SCHEMA_C: [u8; SCHEMA.len() + 1] = $crate::entry::terminated(SCHEMA);

            impl $crate::entry::Exported for $plugin {
                const ABOUT: $crate::entry::About = $crate::entry::About {
                    name: &NAME,
                    version: concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes(),
                    config_schema: if SCHEMA.is_empty() {
                        None
                    } else {
                        Some(&SCHEMA_C)
                    },
                };
            }

            #[used]
            #[unsafe(link_section = ".note.callmeter")]
            static NOTE: $crate::abi::note::Note = $crate::abi::note::Note::output(
                <$plugin as $crate::OutputPlugin>::NAME,
                env!("CARGO_PKG_VERSION"),
            );

            #[unsafe(no_mangle)]
            unsafe extern "C" fn callmeter_output_plugin_init_v1(
                host: *const $crate::abi::Host,
                out: *mut $crate::abi::OutputPlugin,
                error: *mut $crate::abi::ErrorBox,
            ) -> i32 {
                // SAFETY: the arguments are passed on as they came.
                unsafe { $crate::entry::init::<$plugin>(host, out, error) }
            }
        };
    };
}
