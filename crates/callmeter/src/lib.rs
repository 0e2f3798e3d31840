//! The inside of the `callmeter` program: configuration, polling, wiring, web server, commands.
//!
//! A library so that tests and benches reach it. [`app`] is the program's life on one page;
//! `main.rs` only chooses the command.

pub mod app;
pub mod build;
pub mod cli;
pub mod commands;
pub mod config;
pub mod context;
mod error_chain;
pub mod exit;
pub mod logging;
pub mod output_status;
pub mod pipeline;
pub mod poll;
pub mod secret_redactor;
pub mod selfmetrics;
pub mod status;
pub mod stop;
pub mod web;
