//! The inside of the `callmeter` program: configuration, polling, wiring, web server, commands.
//!
//! A library so that tests and benches reach it; `main.rs` shows the life of the program.

pub mod build;
pub mod cli;
pub mod config;
pub mod exit;
pub mod logging;
// pub mod poll;
pub mod selfmetrics;
pub mod status;
pub mod vault;
mod words;
