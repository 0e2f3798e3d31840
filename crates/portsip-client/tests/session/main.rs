//! The session against servers that answer from a script.

#![expect(
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "a test fails by panicking, and may be slow where that reads better"
)]

#[path = "../../../api-client/tests/canned/mod.rs"]
mod canned;

mod answers;
mod csv_export;
mod rates;
mod signing_in;
mod wire;

use std::time::Duration;

use canned::{Canned, Reply, Seen, json};
use portsip_client::{RetryPolicy, Secret, Session, SessionBuilder};

const PASSWORD: &str = "s3\"cret/ä&1";

const TOKENS: &str = r#"{"token_type":"Bearer","access_token":"token-1","refresh_token":"refresh-1","expires_in":1800}"#;

fn builder(url: &str) -> SessionBuilder {
    Session::builder(url)
        .credentials("billing", Secret::from(PASSWORD))
        .domain("example.com")
        .env_proxy(false)
        .user_agent("golden")
        .retry(RetryPolicy::default().waits(Duration::from_millis(1), Duration::from_millis(20)))
        .read_timeout(Duration::from_secs(5))
}

fn session(server: &Canned) -> Session {
    builder(&server.url()).build().unwrap()
}

/// A server that signs everyone in, and answers the rest from a script.
async fn signed_in(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Canned {
    Canned::start(move |request, _| match request.line() {
        "POST /api/auth/sign_in" => json(TOKENS),
        _ => script(request),
    })
    .await
}
