//! The server as clients meet it: over a socket, in plain text and in TLS.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use callmeter_meter::{Api, Ledger, Limits, Meter};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::server::Bounds;
use super::*;
use crate::stop::{StopSender, stop};

/// A server at work, with what it shows.
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
    ledger.set_state("acme", |state| state.up = Some(true));
    let (reload, reloads) = Reload::channel();
    let state = WebState {
        meter: Arc::new(Meter::new(ledger)),
        metrics: SelfMetrics::new().unwrap(),
        board: Arc::new(StatusBoard::new(Path::new("callmeter.yml"))),
        vault: Arc::new(Vault::new()),
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
    let listener = bind("127.0.0.1:0").await.unwrap();
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

/// An answer.
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
    // A TLS stream may end without a farewell after the last byte.
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
    let started = server.state.board.started().as_second().to_string();
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

#[tokio::test]
async fn health_readiness_and_what_is_not_there() {
    let server = start(args()).await;
    assert_eq!(server.get("/-/healthy").await.code, 200);
    assert_eq!(server.get("/-/ready").await.code, 503);
    server.state.board.set_ready(true);
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

#[tokio::test]
async fn reload_answers_with_the_outcome() {
    let (server, mut reloads) = start_with(args(), Bounds::default()).await;
    let secret = client_support::Secret::from("hunter2 is planted");
    server.state.vault.remember(&secret);
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
    // Enough series that the answer does not fit into the sockets' buffers.
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
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "the place was not given up"
        );
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
    // Both places taken by clients that never end their head.
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
            .await
            .unwrap();
        slow.push(stream);
    }
    let begun = Instant::now();
    assert_eq!(server.get("/-/healthy").await.code, 200);
    assert!(begun.elapsed() < Duration::from_secs(10));

    let huge = "x".repeat(64 * 1024);
    let stream = TcpStream::connect(server.address).await.unwrap();
    match ask_over(stream, "GET", "/metrics", &[("X-Huge", &huge)]).await {
        Ok(answer) => assert_eq!(answer.code, 431),
        // The server may close before all of the head was sent.
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

/// Certificates in a directory, with a web configuration that names them.
struct Pki {
    directory: tempfile::TempDir,
    ca: Issuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(
            directory.path().join("ca.crt"),
            params.self_signed(&key).unwrap().pem(),
        )
        .unwrap();
        let ca = Issuer::new(params, key);
        let pki = Self { directory, ca };
        pki.issue(
            "server",
            SanType::DnsName("callmeter.test".try_into().unwrap()),
        );
        pki
    }

    fn issue(&self, name: &str, san: SanType) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![san];
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        let write = |kind: &str, text: String| {
            std::fs::write(self.file(&format!("{name}.{kind}")), text).unwrap();
        };
        write("crt", certificate.pem());
        write("key", key.serialize_pem());
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn web_config(&self, text: &str) -> std::path::PathBuf {
        let file = self.file("web.yml");
        std::fs::write(&file, text).unwrap();
        file
    }

    /// A connection of a client with, maybe, a certificate.
    async fn connect(
        &self,
        server: &Running,
        client: Option<&str>,
    ) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(self.file("ca.crt")).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let certificate =
                    CertificateDer::from_pem_file(self.file(&format!("{name}.crt"))).unwrap();
                let key = PrivateKeyDer::from_pem_file(self.file(&format!("{name}.key"))).unwrap();
                builder
                    .with_client_auth_cert(vec![certificate], key)
                    .unwrap()
            }
        };
        let stream = TcpStream::connect(server.address).await?;
        let name = ServerName::try_from("callmeter.test").unwrap();
        tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    /// The code of an answer to such a client, or nothing when the connection fails.
    async fn code(&self, server: &Running, client: Option<&str>) -> Option<u16> {
        let stream = self.connect(server, client).await.ok()?;
        Some(ask_over(stream, "GET", "/-/healthy", &[]).await.ok()?.code)
    }
}

const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

#[tokio::test]
async fn certificates_are_served_and_replaced_without_a_restart() {
    let pki = Pki::new();
    let file = pki.web_config(TLS);
    let server = start(WebArgs {
        web_config_file: Some(file),
        ..args()
    })
    .await;
    assert_eq!(pki.code(&server, None).await, Some(200));
    let serial = async |server: &Running| {
        let stream = pki.connect(server, None).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let first = serial(&server).await;
    pki.issue("server", dns("callmeter.test"));
    let begun = Instant::now();
    while serial(&server).await == first {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the new certificate was not taken"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // A file that is broken changes nothing.
    pki.web_config("tls_server_config: { cert_file: nowhere }");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(pki.code(&server, None).await, Some(200));
}

#[tokio::test]
async fn client_certificates_are_checked_as_configured() {
    let pki = Pki::new();
    pki.issue("known", dns("prometheus.example.com"));
    pki.issue(
        "spiffe",
        SanType::URI("spiffe://example.com/prometheus".try_into().unwrap()),
    );
    let stranger = Pki::new();
    stranger.issue("stranger", dns("prometheus.example.com"));
    for kind in ["crt", "key"] {
        let name = format!("stranger.{kind}");
        std::fs::copy(stranger.file(&name), pki.file(&name)).unwrap();
    }
    let ca = "  client_ca_file: ca.crt\n";
    for (more, outcomes) in [
        // none, known, spiffe, stranger
        (
            "  client_auth_type: RequestClientCert\n".to_owned(),
            [true, true, true, true],
        ),
        (
            "  client_auth_type: RequireAnyClientCert\n".to_owned(),
            [false, true, true, true],
        ),
        (
            format!("  client_auth_type: VerifyClientCertIfGiven\n{ca}"),
            [true, true, true, false],
        ),
        (
            format!("  client_auth_type: RequireAndVerifyClientCert\n{ca}"),
            [false, true, true, false],
        ),
        (
            format!(
                "  client_auth_type: RequireAndVerifyClientCert\n{ca}  client_allowed_sans: ['spiffe://example.com/prometheus']\n"
            ),
            [false, false, true, false],
        ),
        (
            format!(
                "  client_auth_type: RequireAndVerifyClientCert\n{ca}  client_allowed_sans: [prometheus.example.com]\n"
            ),
            [false, true, false, false],
        ),
    ] {
        let file = pki.web_config(&format!("{TLS}{more}"));
        let server = start(WebArgs {
            web_config_file: Some(file),
            ..args()
        })
        .await;
        for (client, passes) in [None, Some("known"), Some("spiffe"), Some("stranger")]
            .into_iter()
            .zip(outcomes)
        {
            let code = pki.code(&server, client).await;
            assert_eq!(code, passes.then_some(200), "{client:?} with {more}");
        }
    }
}

#[tokio::test]
async fn users_headers_and_rate_limit() {
    let pki = Pki::new();
    let hash = bcrypt::hash("right", 4).unwrap();
    let users = format!("basic_auth_users: {{ eve: '{hash}' }}\n");
    let headers = "http_server_config: { headers: { X-Frame-Options: deny } }\n";
    let file = pki.web_config(&format!("{users}{headers}"));
    let server = start(WebArgs {
        web_config_file: Some(file),
        ..args()
    })
    .await;
    let with = async |password: &str| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("eve:{password}"));
        let value = format!("Basic {encoded}");
        server
            .ask("GET", "/metrics", &[("Authorization", &value)])
            .await
    };
    let refused = server.get("/metrics").await;
    assert_eq!(
        (refused.code, refused.header("www-authenticate")),
        (401, Some("Basic"))
    );
    assert_eq!(refused.header("x-frame-options"), Some("deny"));
    assert_eq!(with("wrong").await.code, 401);
    assert_eq!(with("right").await.code, 200);
    assert_eq!(server.get("/-/healthy").await.code, 401);
    // A user whose hash changes is out at once, also from memory.
    let other = bcrypt::hash("other", 4).unwrap();
    pki.web_config(&format!("basic_auth_users: {{ eve: '{other}' }}\n"));
    let begun = Instant::now();
    while with("right").await.code != 401 {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the new users were not taken"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(with("other").await.code, 200);

    let file = pki.web_config("rate_limit: { interval: 1h, burst: 2 }\n");
    let server = start(WebArgs {
        web_config_file: Some(file),
        ..args()
    })
    .await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(server.get("/-/healthy").await.code);
    }
    assert_eq!(codes, [200, 200, 429]);
}

fn testdata() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/web")
}

#[tokio::test]
async fn mistakes_in_the_file_are_named() {
    let mut files: Vec<_> = std::fs::read_dir(testdata())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut mistakes = String::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        if name.starts_with("invalid-") {
            let error = Access::open(Some(&file)).unwrap_err().to_string();
            let error = error.replace(testdata().to_str().unwrap(), "…");
            mistakes = mistakes + name + "\n    " + &error + "\n";
        }
    }
    insta::assert_snapshot!(mistakes);
}

/// The file of the tests, with certificates beside it.
fn valid_file(pki: &Pki) -> std::path::PathBuf {
    pki.web_config(&std::fs::read_to_string(testdata().join("valid.yml")).unwrap())
}

#[tokio::test]
async fn a_file_with_everything_is_taken() {
    let pki = Pki::new();
    assert!(Access::open(Some(&valid_file(&pki))).is_ok());
    // Keys that came to the format later.
    let later = "  client_ca_file: ca.crt\n  client_allowed_sans: [prometheus.example.com]\n";
    let text = std::fs::read_to_string(testdata().join("valid.yml")).unwrap();
    let text = text.replace("  client_ca_file: ca.crt\n", later);
    let text = format!("{text}rate_limit: {{ interval: 100ms, burst: 20 }}\n");
    assert!(text.contains("client_allowed_sans"));
    assert!(Access::open(Some(&pki.web_config(&text))).is_ok());
    for empty in ["", "# nothing\n", "\n\n"] {
        assert!(Access::open(Some(&pki.web_config(empty))).is_ok());
    }
}

/// Files that Prometheus' own tool takes are taken here as well. Needs `promtool`; without it only what stands above is tested.
#[tokio::test]
async fn promtool_takes_the_same_file() {
    let pki = Pki::new();
    let file = valid_file(&pki);
    let Ok(output) = std::process::Command::new("promtool")
        .args(["check", "web-config"])
        .arg(&file)
        .output()
    else {
        eprintln!("promtool is not installed");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
}
