//! The journal on a PostgreSQL server: settings, connections, TLS and tables.

pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod engine;
pub(crate) mod hosts;
pub(crate) mod in_time;
pub(crate) mod settings;
pub(crate) mod tables;
pub(crate) mod tls;
