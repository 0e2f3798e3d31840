//! The client against servers that answer from a script.

#![expect(
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "a test fails by panicking, and may be slow where that reads better"
)]

#[path = "../../../api-client/tests/canned/mod.rs"]
mod canned;

mod answers;
mod paging;
mod wire;

use std::time::Duration;

use canned::Canned;
use hostedsuite_client::{CallsQuery, Client, ClientBuilder, RetryPolicy, Secret};

/// A password that has to be escaped in every format.
const PASSWORD: &str = "s3\"cret/ä&1";

fn builder(url: &str) -> ClientBuilder {
    Client::builder(url)
        .credentials("Acme", "exporter", Secret::from(PASSWORD))
        .env_proxy(false)
        .retry(RetryPolicy::default().waits(Duration::from_millis(1), Duration::from_millis(20)))
        .read_timeout(Duration::from_secs(5))
}

fn client(server: &Canned) -> Client {
    builder(&server.url()).build().unwrap()
}

fn day() -> CallsQuery {
    CallsQuery::on("2026-08-06".parse().unwrap())
}
