//! Tests of the public interface: from pages to batches, also after crashes and damage.
#![expect(clippy::unwrap_used, reason = "a test stops where it cannot go on")]
#![expect(clippy::format_push_string, reason = "speed is no matter here")]

mod change_streams;
mod charges;
mod copies;
mod failover;
mod faults;
mod files;
mod format;
mod hangs;
mod hosts;
mod ingest;
mod instances;
mod kill;
mod leases;
mod leases_random;
mod model;
mod outputs;
mod pooler;
mod proxy;
mod retention;
mod server;
mod server_certificates;
mod server_faults;
mod server_tls;
mod support;
