//! The inside of the `callmeter` program: configuration, polling, wiring, web server, commands.
//!
//! A library so that tests and benches reach it. [`life`] is the program's life on one page;
//! `main.rs` only chooses the command.

pub mod build;
pub mod cli;
pub mod commands;
pub mod config;
pub mod exit;
pub mod life;
pub mod logging;
pub mod pipeline;
pub mod poll;
pub mod program;
pub mod selfmetrics;
pub mod status;
pub mod stop;
pub mod vault;
pub mod web;
mod words;
