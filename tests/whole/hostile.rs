//! Servers that answer what nobody expects: the real program shows what it can read, says what it
//! cannot, and invents nothing.

#[path = "../../crates/api-client/tests/canned/mod.rs"]
mod canned;
mod deck;
mod session;
mod suite;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use callmeter_tests::{Exporter, Samples, Web, World};
use canned::{Canned, Reply, Seen, json, with_headers};

/// A server whose answers change when the test says so.
struct Scripted {
    name: &'static str,
    server: Canned,
    phase: Arc<AtomicUsize>,
}

impl Scripted {
    /// `script` gets the request and the phase, which begins at 0.
    async fn start(
        name: &'static str,
        script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let phase = Arc::new(AtomicUsize::new(0));
        let server = Canned::start({
            let phase = Arc::clone(&phase);
            move |request, _| script(request, phase.load(Ordering::SeqCst))
        })
        .await;
        Self {
            name,
            server,
            phase,
        }
    }

    /// Begins the next phase.
    fn advance(&self) {
        self.phase.fetch_add(1, Ordering::SeqCst);
    }

    /// How many requests it has seen whose line contains this.
    fn seen(&self, part: &str) -> usize {
        let seen = self.server.seen();
        seen.iter().filter(|one| one.line().contains(part)).count()
    }

    /// Waits until a poll with this request has begun and ended.
    async fn polled(&self, exporter: &Exporter, part: &str) {
        let wanted = self.seen(part) + 2;
        exporter
            .until(part, async |_| self.seen(part) >= wanted)
            .await;
    }

    /// A PortSIP account that polls every second.
    fn pbx(&self, world: &World) -> String {
        world.write("password", "secret");
        format!(
            "  - name: {}\n    portsip:\n      url: {}\n      username: billing\n      \
             password_file: password\n      domain: example.com\n      stale_after: 100\n      billing: {{ every: 1s }}\n      \
             rates: {{ every: 1s }}\n",
            self.name,
            self.server.url()
        )
    }

    /// A HostedSuite account that polls every second.
    fn suite(&self, world: &World, polls: &str) -> String {
        world.write("password", "secret");
        format!(
            "  - name: {}\n    hostedsuite:\n      url: {}\n      customer: acme\n      username: api\n      \
             password_file: password\n      time_zone: UTC\n      clients: {{ enabled: false }}\n{polls}",
            self.name,
            self.server.url()
        )
    }
}

/// A callmeter that reads these accounts.
async fn exporter(world: &World, accounts: &[String]) -> Exporter {
    let config = world.configure(accounts, &[]);
    Exporter::start(&config, &world.path("callmeter.log"), Web::default()).await
}

const TOKENS: &str =
    r#"{"token_type":"Bearer","access_token":"a","refresh_token":"r","expires_in":1800}"#;

/// The answers of a PBX that a test does not care about.
fn usual(request: &Seen) -> Reply {
    match request.line() {
        "POST /api/auth/sign_in" => json(TOKENS),
        "GET /api/tenant/billing" => json(r#"{"enabled":true,"account":"TENANT","type":"ONLINE"}"#),
        "GET /api/tenant/balance" => json(r#"{"balance":12.5}"#),
        "GET /api/tenant" => json(r#"{"currency":"EUR"}"#),
        _ => with_headers("404 Not Found", &[], ""),
    }
}

/// The value of the only series of a family with these labels; `None` if there is none.
fn value(metrics: &Samples, name: &str, labels: &[&str]) -> Option<f64> {
    let found: Vec<_> = metrics.of(name, labels).collect();
    assert!(found.len() <= 1, "{found:?}");
    found.first().map(|(_, value)| *value)
}
