//! Certificates of servers: which are accepted, and what the others' errors say.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use callmeter_journal::{JournalError, PostgresJournal, Reader, TlsMode};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::server::OwnServer;

/// The certificate of a server, with its key: both PEM.
struct Certificate {
    certificate: String,
    key: String,
}

fn signed_by_itself(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
    let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
    change(&mut parameters);
    let key = KeyPair::generate().unwrap();
    Certificate {
        certificate: parameters.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

fn may_sign(parameters: &mut CertificateParams) {
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

/// What PostgreSQL's manual shows: `openssl req -new -x509 -subj "/CN=…"`.
fn subject_only(name: &str) -> Certificate {
    signed_by_itself("", |parameters| {
        parameters.subject_alt_names.clear();
        parameters.distinguished_name.push(DnType::CommonName, name);
        may_sign(parameters);
    })
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        may_sign(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(parameters, key),
            certificate,
        }
    }

    fn signs(&self, change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        Certificate {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

/// A certificate that OpenSSL made, as rcgen cannot.
fn from_files(path: &str) -> Certificate {
    let read = |ending| std::fs::read_to_string(format!("{path}.{ending}")).unwrap();
    Certificate {
        certificate: read("crt"),
        key: read("key"),
    }
}

/// What a connection says: `connects`, or the error.
fn connect(port: u16, host: &str, tls: TlsMode, trusted: Option<&str>) -> String {
    let files = tempfile::tempdir().unwrap();
    let ca_file = trusted.map(|pem| {
        let path = files.path().join("ca.pem");
        std::fs::write(&path, pem).unwrap();
        path
    });
    let url = format!("postgres://callmeter@{host}:{port}/postgres?hostaddr=127.0.0.1");
    let connected = Reader::connect(&PostgresJournal {
        tls: Some(tls),
        ca_file,
        ..PostgresJournal::new(url)
    });
    match connected {
        // There is no journal, but there is a connection.
        Err(JournalError::Missing { .. }) => "connects".to_owned(),
        Err(error @ (JournalError::Tls { .. } | JournalError::Refused { .. })) => {
            assert!(!error.is_transient());
            error.to_string().replace(&port.to_string(), "PORT")
        }
        other => panic!("{other:?}"),
    }
}

/// A server, its settings and rules; what connects to it, and what that says.
struct Table {
    server: OwnServer,
    lines: Vec<String>,
}

impl Table {
    fn serves(&mut self, certificate: &Certificate) {
        let rules = "hostssl all all 127.0.0.1/32 trust\n";
        self.serves_with(certificate, "ssl = on\n", rules);
    }

    fn serves_with(&mut self, certificate: &Certificate, settings: &str, rules: &str) {
        self.server.stop();
        self.server.write("server.crt", &certificate.certificate);
        self.server.write("server.key", &certificate.key);
        self.server.write("postgresql.auto.conf", settings);
        self.server.write("pg_hba.conf", rules);
        self.server.resume();
    }

    fn says(&mut self, what: &str, host: &str, tls: TlsMode, trusted: Option<&str>) {
        let says = connect(self.server.port, host, tls, trusted);
        self.lines.push(format!("{what}, {tls:?}:\n    {says}"));
    }
}

/// Each kind of certificate: it is accepted, or the message says what is wrong and what to do.
#[test]
fn each_kind_of_certificate() {
    use TlsMode::{Disable, Prefer, Require, VerifyCa, VerifyFull};
    let mut table = Table {
        server: OwnServer::start(),
        lines: Vec::new(),
    };
    let authority = Authority::new("Authority");
    let ca = Some(authority.certificate.as_str());
    let other = Authority::new("Another").certificate;
    let renewed = Authority::new("Authority").certificate;

    table.serves(&authority.signs(|_| {}));
    table.says("not encrypted", "localhost", Disable, None);
    table.says("of a known authority", "localhost", VerifyFull, ca);
    table.says("for another name", "example", VerifyFull, ca);
    table.says("for another name", "example", VerifyCa, ca);
    table.says("for another name", "example", Require, ca);
    table.says(
        "of an unknown authority",
        "localhost",
        VerifyCa,
        Some(&other),
    );
    table.says(
        "of an authority of the same name",
        "localhost",
        VerifyCa,
        Some(&renewed),
    );
    table.says(
        "of an authority unknown to the system",
        "localhost",
        VerifyFull,
        None,
    );

    table.serves(&authority.signs(|parameters| {
        parameters.not_before = date_time_ymd(2019, 1, 1);
        parameters.not_after = date_time_ymd(2020, 1, 1);
    }));
    table.says("expired", "localhost", VerifyCa, ca);
    table.says("expired", "localhost", Require, None);

    table.serves(&authority.signs(|parameters| {
        parameters.not_before = date_time_ymd(3000, 1, 1);
        parameters.not_after = date_time_ymd(3001, 1, 1);
    }));
    table.says("not yet valid", "localhost", VerifyFull, ca);

    table.serves(&authority.signs(|parameters| parameters.subject_alt_names.clear()));
    table.says("without a name", "localhost", VerifyFull, ca);
    table.says("without a name", "localhost", VerifyCa, ca);

    let own = signed_by_itself("localhost", may_sign);
    table.serves(&own);
    table.says(
        "CA:TRUE, named",
        "localhost",
        VerifyFull,
        Some(&own.certificate),
    );
    table.says(
        "CA:TRUE, named, for another name",
        "example",
        VerifyFull,
        Some(&own.certificate),
    );
    table.says("CA:TRUE, not named", "localhost", VerifyFull, Some(&other));

    let own = subject_only("localhost");
    table.serves(&own);
    table.says(
        "name of the subject, named",
        "localhost",
        VerifyFull,
        Some(&own.certificate),
    );
    table.says(
        "name of the subject, named, another",
        "example",
        VerifyFull,
        Some(&own.certificate),
    );
    table.says(
        "name of the subject, named, another",
        "example",
        VerifyCa,
        Some(&own.certificate),
    );

    let own = from_files("../api-client/tests/certificates/v1");
    let name = "pbx.example.com";
    table.serves(&own);
    table.says("version 1, named", name, VerifyFull, Some(&own.certificate));
    table.says(
        "version 1, named, for another name",
        "localhost",
        VerifyFull,
        Some(&own.certificate),
    );
    table.says(
        "version 1, named, for another name",
        "localhost",
        VerifyCa,
        Some(&own.certificate),
    );
    table.says("version 1, not named", name, VerifyCa, Some(&other));
    table.says("version 1, not named", name, Require, None);

    let own = from_files("tests/certificates/p521");
    table.serves(&own);
    table.says("P-521", "localhost", VerifyFull, Some(&own.certificate));
    table.says("P-521", "localhost", Prefer, None);

    let own = signed_by_itself("localhost", |_| {});
    let settings = "ssl = on\nssl_ca_file = 'server.crt'\n";
    table.serves_with(&own, settings, "hostssl all all 127.0.0.1/32 cert\n");
    table.says("asks for a client certificate", "localhost", Require, None);

    table.serves_with(&own, "ssl = off\n", "host all all 127.0.0.1/32 trust\n");
    table.says("a server without TLS", "localhost", Require, None);
    table.says("a server without TLS", "localhost", Prefer, None);
    insta::assert_snapshot!(table.lines.join("\n"));
}

/// A server, or a pooler, that wants the certificate before anything else. With TLS 1.3 it says so
/// after the handshake.
#[test]
fn a_pooler_that_asks_for_a_client_certificate() {
    let own = signed_by_itself("localhost", |_| {});
    let der = callmeter_server_certificate::certificates(own.certificate.as_bytes()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(der[0].clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::clone(&provider),
    );
    let key = KeyPair::from_pem(&own.key).unwrap().serialize_der();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(der, PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key)))
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // It is asked for TLS, and agrees.
            stream.read_exact(&mut [0; 8]).unwrap();
            stream.write_all(b"S").unwrap();
            let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            while tls.complete_io(&mut stream).is_ok() {}
            let _ = tls.write_tls(&mut stream);
            // The client reads what was said before the connection ends.
            let _ = stream.read(&mut [0; 1024]);
        }
    });
    insta::assert_snapshot!(connect(
        port,
        "localhost",
        TlsMode::VerifyFull,
        Some(&own.certificate)
    ));
}

/// Another service listens on the port.
#[test]
fn a_port_of_something_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream
                .unwrap()
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    insta::assert_snapshot!(connect(port, "localhost", TlsMode::Require, None));
}

#[test]
fn a_file_that_is_not_of_certificates() {
    let what = |path: &Path| {
        let error = Reader::connect(&PostgresJournal {
            tls: Some(TlsMode::VerifyFull),
            ca_file: Some(path.to_owned()),
            ..PostgresJournal::new("postgres://callmeter@localhost/postgres")
        });
        callmeter_error_chain::chain(&error.err().unwrap())
    };
    insta::assert_snapshot!(
        [
            what(Path::new("/nowhere/ca.pem")),
            what(Path::new("Cargo.toml"))
        ]
        .join("\n")
    );
}
