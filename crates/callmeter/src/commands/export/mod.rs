//! `callmeter export`: journaled records as CSV or NDJSON, or counters with timestamps. It needs no
//! lock, so the exporter may be running.

mod batches;
mod cell;
mod command;
mod error;
mod openmetrics;
mod output;
mod records;
mod versions;

pub use command::run;
