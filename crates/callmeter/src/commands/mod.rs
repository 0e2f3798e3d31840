//! One module for each command of the command line.

pub mod backfill;
pub mod charges;
pub mod check_config;
pub mod completions;
pub mod dead_letters;
#[cfg(feature = "demo")]
pub mod demo;
pub mod export;
pub mod healthcheck;
pub mod journal;
mod journal_copy;
pub mod man;
pub mod metrics;
mod named_journal;
pub mod plugin;
mod progress;
pub mod rate;
pub mod run;
mod runtime;
