//! `callmeter demo`: runs everything in one process, against simulated APIs.

mod command;
mod configuration;
mod receiver;

pub use command::run;
