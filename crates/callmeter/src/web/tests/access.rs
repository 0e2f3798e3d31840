//! TLS, users, headers and rate limit as clients see them, and the file that configures them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;

use super::{PATIENCE, Running, args, ask_over, start};
use crate::cli::WebArgs;
use crate::web::Access;

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

    /// Connects as a client, with this certificate if one is given.
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

    /// The status code that such a client gets; `None` if the connection fails.
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
            begun.elapsed() < PATIENCE,
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
    // The old password of a user whose hash changes is rejected at once: the cache is cleared, too.
    let other = bcrypt::hash("other", 4).unwrap();
    pki.web_config(&format!(
        "basic_auth_users: {{ eve: '{other}' }}\n{headers}"
    ));
    let begun = Instant::now();
    while with("right").await.code != 401 {
        assert!(begun.elapsed() < PATIENCE, "the new users were not taken");
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

/// The code of `/-/healthy` over plain HTTP; `None` if there is no response.
async fn plain_code(server: &Running) -> Option<u16> {
    let stream = TcpStream::connect(server.address).await.ok()?;
    Some(ask_over(stream, "GET", "/-/healthy", &[]).await.ok()?.code)
}

#[tokio::test]
async fn an_unfinished_file_removes_no_protection() {
    let pki = Pki::new();
    let hash = bcrypt::hash("right", 4).unwrap();
    let users = format!("basic_auth_users: {{ eve: '{hash}' }}\n");
    let file = pki.web_config(&format!("{TLS}{users}"));
    let server = start(WebArgs {
        web_config_file: Some(file),
        ..args()
    })
    .await;
    assert_eq!(pki.code(&server, None).await, Some(401));
    for unfinished in ["", "# nothing yet\n", TLS, &users] {
        pki.web_config(unfinished);
        // Several readings.
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(plain_code(&server).await, None, "{unfinished}");
        assert_eq!(pki.code(&server, None).await, Some(401), "{unfinished}");
    }
    // What the file says explicitly takes effect.
    pki.web_config("tls_server_config: {}\nbasic_auth_users: {}\n");
    let begun = Instant::now();
    while plain_code(&server).await != Some(200) {
        assert!(begun.elapsed() < PATIENCE, "the file was not taken");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A user's first request is answered while most of many guesses still wait, and the guesses do not
/// wait forever.
#[tokio::test(flavor = "multi_thread")]
async fn guesses_do_not_delay_a_user() {
    let pki = Pki::new();
    let hash = bcrypt::hash("right", 8).unwrap();
    let file = pki.web_config(&format!("basic_auth_users: {{ eve: '{hash}' }}\n"));
    let server = Arc::new(
        start(WebArgs {
            web_config_file: Some(file),
            ..args()
        })
        .await,
    );
    let ask = async |server: &Running, user: &str, password: &str| {
        let encoded =
            base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        let value = format!("Basic {encoded}");
        server
            .ask("GET", "/-/healthy", &[("Authorization", &value)])
            .await
            .code
    };
    let guessed = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut guesses = tokio::task::JoinSet::new();
    for guess in 0..100 {
        let (server, guessed) = (Arc::clone(&server), Arc::clone(&guessed));
        guesses.spawn(async move {
            let user = if guess % 2 == 0 { "eve" } else { "admin" };
            let code = ask(&server, user, &guess.to_string()).await;
            assert!([401, 429].contains(&code), "{code}");
            if code == 401 {
                guessed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        });
    }
    tokio::task::yield_now().await;
    // Another user name than most guesses; "eve" is among those guessed, too.
    while ask(&server, "eve", "right").await != 200 {}
    while let Some(guess) = guesses.join_next().await {
        guess.unwrap();
    }
    let compared = guessed.load(std::sync::atomic::Ordering::Relaxed);
    assert!(compared < 50, "{compared} of 100 guesses were compared");
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
    // Keys that were added to the format later.
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

/// Prometheus' own tool accepts the files that callmeter accepts.
#[tokio::test]
async fn promtool_accepts_the_same_file() {
    let pki = Pki::new();
    let file = valid_file(&pki);
    let output = std::process::Command::new("promtool")
        .args(["check", "web-config"])
        .arg(&file)
        .output()
        .expect("promtool is missing: install prometheus, as `cargo xtask test` does");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
}
