//! The real program against the simulator, as its operators meet it.

#![expect(clippy::float_cmp, reason = "whole numbers")]
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod commands;
mod demo;
mod faults;
mod goldens;
mod kills;
mod page;
mod prometheus;
mod receiver;
mod references;
mod secrets;
mod site;
mod totals;
