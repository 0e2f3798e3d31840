//! Certificates that the operating system does not know: an own CA, another name, none of it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::sync::Arc;

use callmeter_api_client::{
    Error, ExecutorBuilder, HttpOptions, NO_BODY, Operation, Reason, Reply, RequestContext,
    RetryPolicy, Tls, TransportKind,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::SigningKey;
use rustls::{SignatureAlgorithm, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A server whose certificate for `name` comes from a CA of its own; its address and the CA.
async fn server(name: &str) -> (SocketAddr, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let address = serve(certificate.der().clone(), key.serialize_der()).await;
    (address, ca_pem)
}

/// A server with this certificate and key (PKCS #8).
async fn serve(certificate: CertificateDer<'static>, key: Vec<u8>) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
    let key = provider.key_provider.load_private_key(key).unwrap();
    serve_with(certificate, key, rustls::ALL_VERSIONS).await
}

async fn serve_with(
    certificate: CertificateDer<'static>,
    key: Arc<dyn SigningKey>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certified = rustls::sign::CertifiedKey::new(vec![certificate], key);
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        // Unlike `with_single_cert`, it serves any certificate.
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that refuses the certificate ends the handshake: that is what some cases
                // are about.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

async fn fetch(address: SocketAddr, tls: Tls) -> Result<bytes::Bytes, Error> {
    let mut options = HttpOptions::default();
    options.tls = tls;
    options.use_env_proxy = false;
    let http = options.build()?;
    let request = http.get(format!("https://{address}/"));
    let refuse = |answer: &callmeter_api_client::Answer| answer.error_by_status("");
    let executor = ExecutorBuilder::new("test", Arc::new(http), refuse)
        .retry(RetryPolicy::never())
        .build();
    let reply: Reply<()> = RequestContext::new(executor)
        .send(Operation::repeatable("fetch"), request, NO_BODY)
        .await?;
    Ok(reply.body.clone())
}

fn is_tls(result: &Result<bytes::Bytes, Error>) -> bool {
    let Err(error) = result else {
        return false;
    };
    let Reason::Transport(cause) = error.reason() else {
        return false;
    };
    cause.kind == TransportKind::Tls && !error.is_retryable()
}

#[tokio::test]
async fn an_unknown_ca_is_refused_and_a_known_one_is_not() {
    let (address, ca) = server("127.0.0.1").await;
    let unknown = fetch(address, Tls::new()).await;
    assert!(is_tls(&unknown), "{unknown:?}");
    assert!(
        unknown
            .unwrap_err()
            .to_string()
            .contains("check the CA file")
    );
    assert_eq!(
        fetch(address, Tls::new().ca_pem(ca.clone())).await.unwrap(),
        "ok"
    );

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    std::fs::write(&path, ca).unwrap();
    assert_eq!(
        fetch(address, Tls::new().ca_file(path)).await.unwrap(),
        "ok"
    );
}

#[tokio::test]
async fn a_server_that_is_addressed_by_number() {
    let (address, ca) = server("pbx.example.com").await;
    let tls = Tls::new().ca_pem(ca);
    let by_number = fetch(address, tls.clone()).await;
    assert!(is_tls(&by_number), "{by_number:?}");
    let other = fetch(address, tls.clone().server_name("other.example.com")).await;
    assert!(is_tls(&other), "{other:?}");
    assert_eq!(
        fetch(address, tls.server_name("pbx.example.com"))
            .await
            .unwrap(),
        "ok"
    );
}

#[tokio::test]
async fn any_certificate_only_when_asked_for_by_name() {
    let (address, _) = server("pbx.example.com").await;
    let any = Tls::new().danger_accept_any_certificate(true);
    assert_eq!(fetch(address, any).await.unwrap(), "ok");
}

/// What `openssl req -x509` makes: it signs itself, and could sign others.
#[tokio::test]
async fn the_servers_own_certificate_is_trusted_if_it_is_named() {
    let make = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        (certificate, key)
    };
    let (certificate, key) = make("127.0.0.1");
    let address = serve(certificate.der().clone(), key.serialize_der()).await;
    let own = Tls::new().ca_pem(certificate.pem());
    assert_eq!(fetch(address, own.clone()).await.unwrap(), "ok");
    // Its name is checked.
    let other = fetch(address, own.server_name("pbx.example.com")).await;
    assert!(is_tls(&other), "{other:?}");
    let said = other.unwrap_err().to_string();
    assert!(said.contains("tls.server_name"), "{said}");
    // Another one of the same name is not trusted.
    let (stranger, _) = make("127.0.0.1");
    let refused = fetch(address, Tls::new().ca_pem(stranger.pem())).await;
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("tls.ca_file"), "{said}");
}

/// What `openssl x509 -req` makes without a file of extensions.
#[tokio::test]
async fn a_certificate_of_version_1_is_trusted_if_it_is_named() {
    let file = |name: &str| std::path::Path::new("tests/certificates").join(name);
    let certificate = CertificateDer::from_pem_file(file("v1.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("v1.key")).unwrap();
    let address = serve(certificate, key.secret_der().to_vec()).await;
    let own = Tls::new().ca_file(file("v1.crt"));
    let named = own.clone().server_name("pbx.example.com");
    assert_eq!(fetch(address, named).await.unwrap(), "ok");
    let other = fetch(address, own).await;
    assert!(is_tls(&other), "{other:?}");
    let unknown = fetch(address, Tls::new().server_name("pbx.example.com")).await;
    let said = unknown.unwrap_err().to_string();
    assert!(said.contains("version 1 of X.509"), "{said}");
    let any = Tls::new().danger_accept_any_certificate(true);
    assert_eq!(fetch(address, any).await.unwrap(), "ok");
}

/// A key that signs in one way only, as with old libraries.
#[derive(Debug)]
struct OnlyPkcs1(Arc<dyn SigningKey>);

impl SigningKey for OnlyPkcs1 {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn rustls::sign::Signer>> {
        self.0.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

/// Old servers with TLS 1.2 sign with PKCS #1.
#[tokio::test]
async fn a_certificate_of_version_1_of_an_old_server() {
    let file = |name: &str| std::path::Path::new("tests/certificates").join(name);
    let certificate = CertificateDer::from_pem_file(file("v1.crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("v1.key")).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let named = Tls::new()
        .ca_file(file("v1.crt"))
        .server_name("pbx.example.com");
    let tls12 = [&rustls::version::TLS12];
    let keys: [Arc<dyn SigningKey>; 2] = [Arc::new(OnlyPkcs1(Arc::clone(&key))), key];
    for key in keys {
        let address = serve_with(certificate.clone(), key, &tls12).await;
        assert_eq!(fetch(address, named.clone()).await.unwrap(), "ok");
    }
    // Another server has another key.
    let key = KeyPair::generate().unwrap().serialize_der();
    let address = serve(certificate, key).await;
    let stranger = fetch(address, named).await;
    assert!(is_tls(&stranger), "{stranger:?}");
}

#[tokio::test]
async fn a_server_without_tls_is_named_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let said = fetch(address, Tls::new()).await.unwrap_err().to_string();
    assert!(said.contains("does not speak TLS"), "{said}");
}

#[tokio::test]
async fn options_that_do_not_hold_together() {
    let (address, _) = server("x").await;
    for (tls, text) in [
        (
            Tls::new().ca_file("/nowhere/ca.pem"),
            "CA file /nowhere/ca.pem",
        ),
        (Tls::new().ca_pem("nothing"), "no PEM certificate"),
        (
            Tls::new().server_name("not a name"),
            "neither a host name nor an IP address",
        ),
    ] {
        let error = fetch(address, tls).await.unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}
