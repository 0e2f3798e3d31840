//! Tests of the server over a socket.

mod access;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use callmeter_meter::{Api, Ledger, Limits, Meter};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::server::Bounds;
use super::*;
use crate::cli::WebArgs;
use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;
use crate::status::StatusStore;
use crate::stop::{StopSender, stop};

/// The longest wait, enough for a loaded machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running server, with the state that it shows.
struct Running {
    address: std::net::SocketAddr,
    state: WebState,
    stop: StopSender,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

fn args() -> WebArgs {
    WebArgs {
        listen_address: Vec::new(),
        web_config_file: None,
        telemetry_path: "/metrics".to_owned(),
        max_requests: 40,
        enable_lifecycle: true,
    }
}

fn state(args: WebArgs) -> (WebState, tokio::sync::mpsc::Receiver<ReloadRequest>) {
    let mut ledger = Ledger::new(Limits::default());
    ledger.configure("acme", Api::HostedSuite);
    ledger.set_gauges("acme", |state| state.up = Some(true));
    let (reload, reloads) = Reload::channel();
    let meter = Arc::new(Meter::new(ledger));
    let metrics = SelfMetrics::new().unwrap();
    let status = StatusStore::new(
        Path::new("callmeter.yml"),
        jiff::Timestamp::now(),
        Arc::clone(&meter),
        metrics.clone(),
    );
    let state = WebState {
        meter,
        metrics,
        status: Arc::new(status),
        redactor: Arc::new(SecretRedactor::new()),
        config_page: Arc::new(ArcSwap::from_pointee("accounts: []\n".to_owned())),
        created_lines: false,
        access: Access::open(args.web_config_file.as_deref()).unwrap(),
        reload,
        args,
    };
    (state, reloads)
}

async fn start_with(
    args: WebArgs,
    bounds: Bounds,
) -> (Running, tokio::sync::mpsc::Receiver<ReloadRequest>) {
    let (state, reloads) = state(args);
    let listener = super::listen::bind("127.0.0.1:0").await.unwrap().remove(0);
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = stop();
    let app = routes::router(state.clone());
    let access = Arc::clone(&state.access);
    let served = tokio::spawn(server::serve(listener, app, access, bounds, stopped));
    let running = Running {
        address,
        state,
        stop,
        served,
    };
    (running, reloads)
}

async fn start(args: WebArgs) -> Running {
    start_with(args, Bounds::default()).await.0
}

/// A response.
#[derive(Debug)]
struct Answer {
    code: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

async fn ask_over(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> std::io::Result<Answer> {
    let mut request =
        format!("{method} {path} HTTP/1.1\r\nHost: callmeter\r\nConnection: close\r\n");
    for (name, value) in headers {
        request = request + name + ": " + value + "\r\n";
    }
    stream.write_all((request + "\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    // A TLS stream may end without a closing message after the last byte.
    let read = stream.read_to_end(&mut answer).await;
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Err(read
            .err()
            .unwrap_or_else(|| std::io::ErrorKind::UnexpectedEof.into()));
    };
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let mut body = answer[end + 4..].to_vec();
    if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        body = unchunked(&body);
    }
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    Ok(Answer { code, head, body })
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
}

impl Running {
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        ask_over(stream, method, path, headers).await.unwrap()
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[]).await
    }
}

#[tokio::test]
async fn a_scrape_in_each_format() {
    let server = start(args()).await;
    let plain = server.get("/metrics").await;
    assert_eq!(plain.code, 200);
    assert_eq!(
        plain.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert!(
        plain
            .text()
            .contains("callmeter_up{account=\"acme\",api=\"hostedsuite\"} 1\n")
    );
    assert!(
        plain.text().contains("\nprocess_start_time_seconds "),
        "{}",
        plain.text()
    );
    let started = server.state.status.started().as_second().to_string();
    assert_eq!(
        plain.header("process-start-time-unix"),
        Some(started.as_str())
    );

    let accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    let headers = [("Accept", accept), ("Accept-Encoding", "gzip")];
    let answer = server
        .ask("GET", "/metrics?name[]=callmeter_up", &headers)
        .await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8")
    );
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert!(answer.body.starts_with(&[0x1f, 0x8b]));
    let head = server.ask("HEAD", "/metrics", &[]).await;
    assert_eq!((head.code, head.body.len()), (200, 0));
}

/// `/sd` lists the accounts, and each target's scrape has the series of that account only.
#[tokio::test]
async fn accounts_are_targets_of_their_own() {
    let server = start(args()).await;
    assert_eq!(server.get("/sd").await.code, 503);
    server.state.status.set_ready(true);
    let found = server.get("/sd").await;
    assert_eq!(found.header("content-type"), Some("application/json"));
    let targets: serde_json::Value = serde_json::from_slice(&found.body).unwrap();
    assert_eq!(
        targets[0],
        serde_json::json!({
            "targets": ["callmeter"],
            "labels": {
                "__metrics_path__": "/metrics",
                "__param_account": "acme",
                "instance": "callmeter/acme",
            },
        })
    );
    assert_eq!(targets.as_array().unwrap().len(), 2);
    server
        .state
        .metrics
        .polls
        .with_label_values(&["acme", "calls"])
        .inc();
    server
        .state
        .metrics
        .polls
        .with_label_values(&["hq", "rates"])
        .inc();
    // An entry of `charges` that reads its deck from a file.
    let found = server.get("/sd").await;
    let with_deck: serde_json::Value = serde_json::from_slice(&found.body).unwrap();
    assert_eq!(with_deck[1]["labels"]["__param_account"], "hq");
    let lines = async |query: &str| {
        let page = server.get(&format!("/metrics{query}")).await;
        let lines = page.text().lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let of_acme = lines("?account[]=acme").await;
    assert!(of_acme.iter().any(|line| line.contains("callmeter_up{")));
    assert!(
        of_acme
            .iter()
            .any(|line| line.contains("callmeter_polls_total{"))
    );
    let others = |line: &&String| !line.contains("account=\"acme\"");
    assert_eq!(of_acme.iter().find(others), None);
    assert_eq!(targets[1]["labels"]["__param_account"], "(none)");
    let of_none = lines("?account=(none)").await;
    assert!(
        of_none
            .iter()
            .any(|line| line.starts_with("callmeter_ready "))
    );
    assert_eq!(of_none.iter().find(|line| line.contains("account=")), None);
    let all = lines("").await.len();
    let each = lines("?account=hq").await.len() + of_acme.len() + of_none.len();
    // Each request adds to the requests that are counted.
    assert!(all.abs_diff(each) <= 2, "{all} {each}");
}

#[tokio::test]
async fn health_readiness_and_what_is_not_there() {
    let server = start(args()).await;
    assert_eq!(server.get("/-/healthy").await.code, 200);
    assert_eq!(server.get("/-/ready").await.code, 503);
    server.state.status.set_ready(true);
    assert_eq!(server.get("/-/ready").await.code, 200);
    assert_eq!(server.get("/no/such/path").await.code, 404);
    assert_eq!(server.get("/config").await.text(), "accounts: []\n");
    let posted = server.ask("POST", "/metrics", &[]).await;
    assert_eq!(
        (posted.code, posted.header("allow")),
        (405, Some("GET,HEAD"))
    );
    let json = server.get("/api/v1/status").await;
    assert_eq!(json.header("content-type"), Some("application/json"));
    let status: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
    assert_eq!(status["ready"], true);
    let counted = server
        .get("/metrics?name[]=callmeter_http_requests_total")
        .await;
    assert!(
        counted
            .text()
            .contains("callmeter_http_requests_total{code=\"404\",path=\"other\"} 1\n"),
        "{}",
        counted.text()
    );
}

/// A password that is also a part of JSON or HTML is removed from texts only.
#[tokio::test]
async fn pages_stay_valid_whatever_a_password_is() {
    let server = start(args()).await;
    for secret in ["5", "true", "null", "div", "\"", "name", "2"] {
        server
            .state
            .redactor
            .remember(&api_client::Secret::from(secret));
    }
    server.state.status.set_ready(true);
    server
        .state
        .status
        .accounts()
        .add(&crate::status::AccountSetup {
            name: "acme",
            api: Api::HostedSuite,
            stale_after: 3,
            tasks: &[(crate::status::Task::Calls, Duration::from_secs(25))],
            failure_reasons: &[],
        });
    server
        .state
        .status
        .config_rejected("the name 5 is true".to_owned());
    let json = server.get("/api/v1/status").await;
    let status: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
    assert_eq!(status["config"]["error"], "the *** *** is ***");
    assert_eq!(status["ready"], true);
    let calls = &status["accounts"][0]["tasks"]["calls"];
    assert_eq!(calls["every_seconds"], 25.0);
    assert_eq!(calls["error"], serde_json::Value::Null);
    let page = server.get("/").await;
    assert!(page.text().contains("<meta name=\"viewport\""));
    assert!(page.text().contains("the *** *** is ***"));
}

#[tokio::test]
async fn reload_answers_with_the_outcome() {
    let (server, mut reloads) = start_with(args(), Bounds::default()).await;
    let secret = api_client::Secret::from("hunter2 is planted");
    server.state.redactor.remember(&secret);
    let outcomes = tokio::spawn(async move {
        for outcome in [
            Ok(()),
            Err("callmeter.yml:3:5: hunter2 is planted".to_owned()),
        ] {
            reloads.recv().await.unwrap().send(outcome).unwrap();
        }
    });
    assert_eq!(server.get("/-/reload").await.code, 405);
    assert_eq!(server.ask("POST", "/-/reload", &[]).await.code, 200);
    let refused = server.ask("PUT", "/-/reload", &[]).await;
    assert_eq!(refused.code, 500);
    assert!(
        refused
            .text()
            .starts_with("failed to reload config: callmeter.yml:3:5: "),
        "{}",
        refused.text()
    );
    assert!(!refused.text().contains("hunter2"));
    outcomes.await.unwrap();

    let closed = start(WebArgs {
        enable_lifecycle: false,
        ..args()
    })
    .await;
    assert_eq!(closed.ask("POST", "/-/reload", &[]).await.code, 403);
}

#[tokio::test]
async fn scrapes_at_one_time_are_bounded() {
    let server = start(WebArgs {
        max_requests: 1,
        ..args()
    })
    .await;
    // Enough series that the response does not fit into the sockets' buffers.
    server.state.meter.update(|ledger| {
        let clients = (0..9_000).map(|number| callmeter_meter::Client {
            client_id: format!("client with a rather long id, number {number}"),
            center_id: Some("center".to_owned()),
            ..Default::default()
        });
        ledger.set_clients("acme", 0, clients.collect());
    });
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: callmeter\r\n\r\n")
        .await
        .unwrap();
    slow.read_exact(&mut [0; 64]).await.unwrap();
    let refused = server.get("/metrics").await;
    assert_eq!(refused.code, 503);
    // Other pages are not scrapes.
    assert_eq!(server.get("/-/healthy").await.code, 200);
    drop(slow);
    let begun = Instant::now();
    while server.get("/metrics").await.code != 200 {
        assert!(begun.elapsed() < PATIENCE, "the place was not given up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn slow_and_huge_requests_are_cut_off() {
    let bounds = Bounds {
        connections: 2,
        head: Duration::from_millis(400),
        ..Bounds::default()
    };
    let (server, _reloads) = start_with(args(), bounds).await;
    // Both connections are taken by clients that never finish their request head.
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
            .await
            .unwrap();
        slow.push(stream);
    }
    let asked = tokio::time::timeout(PATIENCE, server.get("/-/healthy")).await;
    assert_eq!(asked.expect("slow clients keep it out").code, 200);

    let huge = "x".repeat(64 * 1024);
    let stream = TcpStream::connect(server.address).await.unwrap();
    match ask_over(stream, "GET", "/metrics", &[("X-Huge", &huge)]).await {
        Ok(answer) => assert_eq!(answer.code, 431),
        // The server may close before the whole head is sent.
        Err(error) => assert!(
            matches!(
                error.kind(),
                std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe
            ),
            "{error}"
        ),
    }
    assert_eq!(server.get("/-/healthy").await.code, 200);
}

#[tokio::test]
async fn idle_connections_keep_nobody_out() {
    let bounds = Bounds {
        connections: 4,
        // They would stay for an hour.
        head: Duration::from_hours(1),
        ..Bounds::default()
    };
    let (server, _reloads) = start_with(args(), bounds).await;
    let mut idle = Vec::new();
    for _ in 0..6 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    // One that has been used stays idle, too.
    let mut used = TcpStream::connect(server.address).await.unwrap();
    used.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: callmeter\r\n\r\n")
        .await
        .unwrap();
    used.read_exact(&mut [0; 12]).await.unwrap();
    for _ in 0..8 {
        let asked = tokio::time::timeout(PATIENCE, server.get("/-/healthy")).await;
        assert_eq!(asked.expect("idle connections keep it out").code, 200);
    }
}

#[tokio::test]
async fn a_stop_lets_requests_under_way_finish() {
    let (server, mut reloads) = start_with(args(), Bounds::default()).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let asked = tokio::spawn(async move { ask_over(stream, "POST", "/-/reload", &[]).await });
    let answer = reloads.recv().await.unwrap();
    server.stop.stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    answer.send(Ok(())).unwrap();
    assert_eq!(asked.await.unwrap().unwrap().code, 200);
    server.served.await.unwrap().unwrap();
}
