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
pub mod man;
pub mod metrics;
pub mod plugin;
pub mod rate;
pub mod run;
mod runtime;
