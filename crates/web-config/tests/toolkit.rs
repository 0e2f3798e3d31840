//! The test files of exporter-toolkit: what is read of each, and what its clients get.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode};
use prometheus_web_config::{Access, Refusal, check};
use rustls::{ClientConfig, ClientConnection, ServerConnection};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testdata")
}

/// What `check` says about a file, without the directory.
fn said(file: &Path) -> String {
    let text = match check(file) {
        Ok(warnings) if warnings.is_empty() => "valid".to_owned(),
        Ok(warnings) => format!("valid; {}", warnings.join("; ")),
        Err(error) => format!("refused: {error}"),
    };
    let directory = file.parent().unwrap().display().to_string();
    text.replace(&format!("{directory}/"), "")
}

#[test]
fn every_file_of_the_toolkit() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(testdata())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| matches!(path.extension(), Some(kind) if kind == "yml" || kind == "yaml"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 41);
    let mut lines = String::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy();
        writeln!(lines, "{name}\n    {}", said(&file).replace('\n', "\n    ")).unwrap();
    }
    insta::assert_snapshot!(lines);
}

/// The files that verify certificates without naming an authority are valid with one.
#[test]
fn files_that_verify_certificates_are_valid_with_an_authority() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["server.crt", "server.key", "tls-ca-chain.pem"] {
        std::fs::copy(testdata().join(name), directory.path().join(name)).unwrap();
    }
    for name in [
        "web_config_noAuth.good.yml",
        "web_config_noAuth.good.blocking.yml",
        "web_config_noAuth_allCiphers.good.yml",
        "web_config_noAuth_allCurves.good.yml",
        "web_config_noAuth_someCiphers.good.yml",
        "web_config_noAuth_someCiphers_noOrder.good.yml",
        "web_config_noAuth_noHTTP2.good.yml",
        "web_config_noAuth_tlsInline.good.yml",
    ] {
        let text = std::fs::read_to_string(testdata().join(name)).unwrap();
        let ca = "tls_server_config:\n  client_ca_file: tls-ca-chain.pem\n";
        let file = directory.path().join(name);
        std::fs::write(&file, text.replacen("tls_server_config:\n", ca, 1)).unwrap();
        let said = said(&file);
        assert!(said.starts_with("valid"), "{name}: {said}");
    }
}

/// Whether a client with this certificate of the toolkit completes a handshake.
fn shakes_hands(config: &str, client: Option<&str>) -> Result<(), rustls::Error> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let access = Access::open(Some(&testdata().join(config))).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    let authorities = CertificateDer::pem_file_iter(testdata().join("tls-ca-chain.pem")).unwrap();
    for authority in authorities {
        roots.add(authority.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let client = match client {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let file = |kind: &str| testdata().join(format!("{name}.{kind}"));
            let certificate = CertificateDer::from_pem_file(file("pem")).unwrap();
            let key = PrivateKeyDer::from_pem_file(file("key")).unwrap();
            builder
                .with_client_auth_cert(vec![certificate], key)
                .unwrap()
        }
    };
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(access.tls().unwrap()).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut bytes = Vec::new();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn clients_with_and_without_certificates() {
    let (any, verified) = (
        "tls_config_noAuth.requireanyclientcert.good.yml",
        "tls_config_noAuth.requireandverifyclientcert.good.yml",
    );
    for (config, client, accepted) in [
        (any, Some("client_selfsigned"), true),
        (any, None, false),
        (verified, Some("client_selfsigned"), true),
        (verified, Some("client2_selfsigned"), false),
        (verified, None, false),
        (
            "web_config_auth_client_san.good.yaml",
            Some("client2_selfsigned"),
            true,
        ),
        (
            "web_config_auth_client_san.bad.yaml",
            Some("client2_selfsigned"),
            false,
        ),
    ] {
        let result = shakes_hands(config, client);
        assert_eq!(result.is_ok(), accepted, "{config}, {client:?}: {result:?}");
    }
}

#[tokio::test]
async fn users_of_the_toolkit_and_what_others_get() {
    let text = testdata().join("web_config_users_noTLS.good.yml");
    let text = std::fs::read_to_string(text).unwrap();
    // A check of this one takes 20 seconds.
    let users = text.lines().filter(|line| !line.contains("bob: $2y$18$"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yml");
    std::fs::write(&file, users.collect::<Vec<_>>().join("\n")).unwrap();
    let access = Access::open(Some(&file)).unwrap();
    assert!(access.tls().is_none());
    let basic = |credentials: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(
            http::header::AUTHORIZATION,
            HeaderValue::from_static(credentials),
        );
        headers
    };
    // alice:alice123, carol:wrong, and nobody.
    for (headers, refusal) in [
        (basic("Basic YWxpY2U6YWxpY2UxMjM="), None),
        (basic("Basic Y2Fyb2w6d3Jvbmc="), Some(Refusal::Credentials)),
        (HeaderMap::new(), Some(Refusal::Credentials)),
    ] {
        let admission = access.admit(&headers, None).await;
        assert_eq!(admission.refusal(), refusal, "{headers:?}");
    }
    let refusal = Refusal::Credentials;
    assert_eq!(refusal.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refusal.header().unwrap().1, "Basic");
}

#[tokio::test]
async fn headers_and_rate_limit_of_the_toolkit() {
    let access = Access::open(Some(&testdata().join("web_config_headers.good.yml"))).unwrap();
    let admission = access.admit(&HeaderMap::new(), None).await;
    let mut headers = HeaderMap::new();
    admission.add_headers(&mut headers);
    assert_eq!(headers.len(), 5);
    assert_eq!(headers["x-frame-options"], "deny");

    let file = testdata().join("web_config_rate_limiter_nonblocking.yaml");
    let access = Access::open(Some(&file)).unwrap();
    for _ in 0..10 {
        let admission = access.admit(&HeaderMap::new(), None).await;
        assert_eq!(admission.refusal(), None);
    }
}

/// Neither `open` nor what reads the file again needs a runtime, and `admit` one without timers.
#[test]
fn a_changed_file_takes_effect_in_every_runtime() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yml");
    // The password is "test".
    let hash = "$2b$04$p9p6Ie/OlG9RESk/nIol1eoFffzwj8IX9fJoPrPbvg/0BIunbCWRW";
    let users = |name: &str| format!("basic_auth_users: {{ {name}: '{hash}' }}\n");
    std::fs::write(&file, users("alice")).unwrap();
    let access = Access::open(Some(&file)).unwrap();
    std::fs::write(&file, users("bob")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut headers = HeaderMap::new();
    let credentials = HeaderValue::from_static("Basic Ym9iOnRlc3Q=");
    headers.insert(http::header::AUTHORIZATION, credentials);
    for _ in 0..600 {
        let admission = runtime.block_on(access.admit(&headers, None));
        if admission.refusal().is_none() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the file is not read again");
}

#[test]
fn a_burst_that_is_no_number_is_one_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yml");
    std::fs::write(&file, "rate_limit: { interval: 1s, burst: -1 }\n").unwrap();
    let error = prometheus_web_config::check(&file).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
}
