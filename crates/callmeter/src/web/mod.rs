//! The web server: metrics, status page, health, reload.
//!
//! Nothing here waits for an API, a disk or a plugin: handlers read the published snapshot, the
//! registry and a copy of the status. What clients may use is limited: connections and time in
//! `server`, concurrent scrapes in `metrics`.

mod calls_card;
mod charges_card;
mod connections;
mod discovery;
mod guard;
mod listen;
mod metrics;
mod page;
mod peer;
mod rendered;
mod routes;
mod serve;
mod server;
mod sharing_card;
mod stall;
mod state;
#[cfg(test)]
mod tests;
mod usage;
mod usage_charts;
mod usage_figures;
mod usage_spend;
mod words;

pub use listen::{ListenError, adopt, bind_all};
pub use prometheus_web_config::{Access, AccessError, check, loses_protection};
pub use serve::serve;
pub use state::{Reload, ReloadRequest, WebState};
