//! The `callmeter` program: configuration, sources, pipeline, web server, commands.
//!
//! It is a library so that tests and benchmarks can use it. [`app`] is `callmeter run` from start
//! to shutdown; `main.rs` only selects the command.

pub mod app;
pub mod build;
mod charging;
pub mod cli;
pub mod commands;
pub mod config;
pub mod context;
mod control;
mod currency;
mod descriptors;
pub mod exit;
pub mod file_size;
mod log_lines;
pub mod logging;
pub mod malloc_pools;
pub mod pipeline;
mod reload;
pub mod secret_redactor;
pub mod selfmetrics;
mod service_manager;
pub mod sources;
pub mod status;
pub mod stop;
pub mod web;

/// The example in the repository's README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
