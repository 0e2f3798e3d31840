//! The real program with the simulator, used as operators use it.

#![expect(clippy::float_cmp, reason = "whole numbers")]
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod backup;
mod charge_labels;
mod charges;
mod cluster;
mod commands;
mod deck_file;
mod demo;
mod examples;
mod faults;
mod goldens;
mod hangs;
mod history;
mod hostile;
mod idle;
mod instances;
mod instances_random;
mod instances_settings;
mod instances_shown;
mod kills;
mod mixin;
mod outputs;
mod page;
mod plugin_test;
#[path = "../../crates/journal/tests/it/server.rs"]
#[expect(dead_code, reason = "the tests of the journal use the rest")]
mod postgres;
#[path = "../../crates/journal/tests/it/proxy.rs"]
#[expect(dead_code, reason = "the tests of the journal use the rest")]
mod postgres_proxy;
mod prometheus;
mod proxy;
mod receiver;
mod references;
mod refusals;
mod secrets;
mod server;
mod server_hangs;
mod server_journal;
mod settings;
mod site;
mod systemd;
mod totals;
