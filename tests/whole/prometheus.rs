//! A real Prometheus scrapes callmeter in every format, over TLS and with a password.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::get;
use callmeter_simulator::{LedgerQuery, Options, Running, Simulator};
use callmeter_tests::{
    Answer, Exporter, PbxAccount, SuiteAccount, Web, World, differences, quoted, system,
    wednesday_noon_before,
};
use jiff::{Timestamp, ToSpan as _};
use tokio::net::TcpListener;

use crate::server::Server;

const TEXT: &str = "text/plain;version=0.0.4";
const USER: &str = "prometheus";
const PASSWORD: &str = "s\"cr%t wörd";

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_agrees_with_the_ledger_in_each_format() {
    let prometheus = system("prometheus", "prometheus");
    let simulator = Simulator::start(Options {
        start: Some(wednesday_noon_before(Timestamp::now() - 24.hours())),
        speed: 20_000.0,
        calls_per_day: Some(400),
        days: 1,
        clients: 5,
        rates: 20,
        ..Options::default()
    })
    .await
    .unwrap();
    simulator.freeze(true);
    let world = World::new();
    let web = web(&world);
    let config = world.configure(
        &[
            SuiteAccount::of("acme", &simulator)
                .calls("every: 1s, lookback: 10d, settle: 0s, page_size: 50")
                .with("balances", "{ every: 1s }")
                .with("clients", "{ every: 1s }")
                .yaml(&world, "simulated"),
            PbxAccount::of("hq", &simulator).yaml(&world, "simulated"),
        ],
        &[],
    );
    let shown =
        "metrics: { histograms: [answer, abandon, duration, talk, hold, transfer, work] }\n";
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text + shown).unwrap();
    let exporter = Exporter::start(&config, &world.path("callmeter.log"), web).await;
    let exporter = Arc::new(exporter);
    until_exact(&exporter, &simulator).await;

    let relay = relay(Arc::clone(&exporter)).await;
    let direct = |job: &str| job_of(job, &exporter, &world);
    let plain = format!("  - job_name: text\n    static_configs: [{{ targets: [\"{relay}\"] }}]\n");
    let jobs = direct("openmetrics") + &plain;
    let today = Server::start(&prometheus, &world, "today", &jobs, &[]);
    let native = Server::start(
        &prometheus,
        &world,
        "native",
        &direct("protobuf"),
        &["--enable-feature=native-histograms"],
    );
    let before = simulator.ledger(&LedgerQuery::default()).total.calls;
    for (server, job) in [
        (&today, "openmetrics"),
        (&today, "text"),
        (&native, "protobuf"),
    ] {
        server
            .until(
                &format!("sum(callmeter_calls_total{{job=\"{job}\"}})"),
                count(before),
            )
            .await;
    }
    let first_scrapes = Timestamp::now();

    simulator.freeze(false);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    simulator.freeze(true);
    until_exact(&exporter, &simulator).await;

    let truth = simulator.ledger(&LedgerQuery::default());
    let after = truth.total.calls;
    assert!(after > before + 50, "only {before} and then {after} calls");
    for (server, job) in [
        (&today, "openmetrics"),
        (&today, "text"),
        (&native, "protobuf"),
    ] {
        let calls = format!("callmeter_calls_total{{job=\"{job}\"}}");
        server.until(&format!("sum({calls})"), count(after)).await;
        // A scrape that took too long leaves a gap of a second.
        server.until(&format!("up{{job=\"{job}\"}}"), 1.0).await;
        for group in &truth.groups {
            let query = format!(
                "sum(callmeter_calls_total{{job=\"{job}\",client_id=\"{}\",direction=\"{}\"}})",
                group.client_id, group.direction
            );
            server.until(&query, count(group.sums.calls)).await;
        }
        let hq = format!("sum(callmeter_call_rates{{job=\"{job}\",account=\"hq\"}})");
        server.until(&hq, count(truth.portsip.rates)).await;
        samples_agree(server, job, &exporter).await;
        // Prometheus extrapolates to each end of the range, by at most 1.1 scrapes.
        let seconds = Timestamp::now().duration_since(first_scrapes).as_secs() + 5;
        let at = Timestamp::now().to_string();
        let value = async |query: &str| server.at(query, &at).await[0].1;
        let increase = value(&format!("sum(increase({calls}[{seconds}s]))")).await;
        let exact = count(after - before);
        let scrapes = value(&format!("max(count_over_time({calls}[{seconds}s]))")).await;
        let most = exact * (1.0 + 2.2 / (scrapes - 1.0));
        assert!(
            (exact - 1e-6..=most).contains(&increase),
            "{job}: increase() says {increase}, the ledger {exact}, {scrapes} scrapes"
        );
    }

    // Each scrape used the intended format.
    let duration = "callmeter_call_duration_seconds";
    assert_eq!(
        today.metadata("openmetrics", duration, "unit").await,
        "seconds"
    );
    assert_eq!(today.metadata("text", duration, "unit").await, "");
    assert_eq!(today.metadata("text", duration, "type").await, "histogram");
    let observed = count(truth.total.calls);
    let classic = format!("sum({duration}_count{{job=\"openmetrics\"}})");
    today.until(&classic, observed).await;
    let expected = count(truth.total.duration_ms) / 1_000.0;
    let is_right = async |server: &Server, query: &str| {
        let difference = format!("abs({query} - {expected}) < bool 1e-6 * {expected}");
        server.until(&difference, 1.0).await;
    };
    is_right(&today, &format!("sum({duration}_sum{{job=\"text\"}})")).await;
    let histograms = format!("histogram_count(sum({duration}))");
    native.until(&histograms, observed).await;
    is_right(&native, &format!("histogram_sum(sum({duration}))")).await;

    promtool_has_nothing_to_say(&exporter).await;
    drop((today, native));
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}

/// Waits until the exporter itself shows the ledger's totals.
async fn until_exact(exporter: &Exporter, simulator: &Running) {
    exporter
        .until("exact", async |exporter| {
            let truth = simulator.ledger(&LedgerQuery::default());
            let metrics = exporter.metrics().await;
            differences(&metrics, "acme", &truth).is_empty()
                && metrics.count("callmeter_portsip_balance", &[]) == 1
        })
        .await;
}

/// A web configuration with TLS and one user.
fn web(world: &World) -> Web {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = certified.cert.pem();
    world.write("server.crt", &certificate);
    world.write("server.key", &certified.signing_key.serialize_pem());
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    let file = world.write(
        "web.yml",
        &format!(
            "tls_server_config: {{ cert_file: server.crt, key_file: server.key }}\n\
             basic_auth_users: {{ {USER}: {} }}\n",
            quoted(&hash)
        ),
    );
    let checked = Command::new(system("promtool", "prometheus"))
        .args(["check", "web-config"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    Web {
        config_file: Some(file),
        certificate: Some(certificate),
        user: Some((USER.to_owned(), PASSWORD.to_owned())),
    }
}

/// A job that scrapes the exporter itself.
fn job_of(name: &str, exporter: &Exporter, world: &World) -> String {
    format!(
        "  - job_name: {name}\n    scheme: https\n    tls_config: {{ ca_file: {} }}\n    \
         basic_auth: {{ username: {USER}, password: {} }}\n    \
         static_configs: [{{ targets: [\"{}\"] }}]\n",
        quoted(&world.path("server.crt").display().to_string()),
        quoted(PASSWORD),
        exporter.address()
    )
}

/// A proxy that requests the text format, because Prometheus 2 always prefers OpenMetrics.
async fn relay(exporter: Arc<Exporter>) -> SocketAddr {
    async fn pass_on(State(exporter): State<Arc<Exporter>>) -> (HeaderMap, Vec<u8>) {
        let Answer {
            content_type, body, ..
        } = exporter.get_as("/metrics", TEXT).await;
        let mut headers = HeaderMap::new();
        headers.insert("content-type", content_type.parse().unwrap());
        (headers, body)
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new()
        .route("/metrics", get(pass_on))
        .with_state(exporter);
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Checks that `scrape_samples_scraped` is the number of samples that callmeter shows.
async fn samples_agree(server: &Server, job: &str, exporter: &Exporter) {
    let native: Vec<String> = [
        "answer", "abandon", "duration", "talk", "hold", "transfer", "work",
    ]
    .iter()
    .map(|time| format!("callmeter_call_{time}_seconds"))
    .collect();
    callmeter_tests::until(
        "as many samples scraped as shown",
        async || {
            let scraped = server
                .value(&format!("scrape_samples_scraped{{job=\"{job}\"}}"))
                .await;
            let metrics = exporter.metrics().await;
            let mut shown = metrics.len();
            if job == "protobuf" {
                // A native histogram is one sample.
                for family in &native {
                    shown -= metrics.count(&format!("{family}_bucket"), &[]);
                    shown -= metrics.count(&format!("{family}_sum"), &[]);
                }
            }
            (scraped == Some(count(shown as u64))).then_some(())
        },
        async || {
            let scraped = server
                .value(&format!("scrape_samples_scraped{{job=\"{job}\"}}"))
                .await;
            format!("{job}: {scraped:?} of {}", exporter.metrics().await.len())
        },
    )
    .await;
}

async fn promtool_has_nothing_to_say(exporter: &Exporter) {
    let text = exporter.get_as("/metrics", TEXT).await;
    assert!(
        text.content_type.starts_with("text/plain"),
        "{}",
        text.content_type
    );
    let mut promtool = Command::new(system("promtool", "prometheus"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(&text.body)
        .unwrap();
    let said = promtool.wait_with_output().unwrap();
    // It counts days. It does not measure time in days.
    let finding = "callmeter_days_incomplete use base unit \"seconds\" instead of \"days\"\n";
    assert_eq!(String::from_utf8_lossy(&said.stderr), finding);
    assert!(said.stdout.is_empty());
}
