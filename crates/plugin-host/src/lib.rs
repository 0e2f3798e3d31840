//! Loads, feeds and isolates callmeter's output plugins.
//!
//! * [`Outputs`] runs one thread for each output. It reads batches from a [`BatchLog`] (the
//!   journal), hands them to an instance of a plugin, and moves the output's cursor when the plugin
//!   says that they are durable.
//! * [`inspect`](fn@inspect) checks whether a file is a plugin that would load.
//! * [`DeadLetters`] lists and replays batches that a plugin refused.
//! * [`child_main`] is the program of a child process that runs an isolated plugin.
//!
//! A fault of a plugin stops nothing else. If the plugin runs in this process, its SDK contains a
//! panic and a hang costs one thread, but only [`Isolation::Process`] contains a segfault, an abort
//! or an `exit`.
#![allow(unsafe_code)]

mod callbacks;
mod config_check;
mod dead_letters;
mod delivery;
mod elf;
mod exit_now;
mod file;
mod in_process;
mod inspect;
mod instance;
mod isolation;
mod library;
mod line_limit;
mod load;
mod memory_log;
mod outputs;
mod plugin_answer;
mod settings;
mod sink;
mod status;

pub use callmeter_records::{Backlog, Batch, BatchId, BatchLog, BatchLogError, BatchSeq};
pub use dead_letters::{DeadLetter, DeadLetterError, DeadLetters, Listing};
pub use elf::{ElfError, ElfFacts, Note};
pub use exit_now::exit_now;
pub use file::{FileError, PluginFile, Trust};
pub use inspect::{Inspection, LoadDecision, inspect};
pub use isolation::{CHILD_ARGUMENT, check_settings, child_main};
pub use library::LoadError;
pub use memory_log::MemoryLog;
pub use outputs::{Outputs, Prepared, StartError};
pub use settings::{Isolation, Limits, OutputSettings, PluginSource, Scrub};
pub use status::{LastError, OutputState, OutputStatus, PluginIdentity, StreamStatus};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
