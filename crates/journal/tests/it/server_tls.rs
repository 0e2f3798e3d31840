//! Encrypted connections to a server: whom each mode trusts, and what a login is bound to.

use callmeter_journal::{JournalError, PostgresJournal, Reader, TlsMode};

use crate::server::OwnServer;

/// Each mode checks what its name says.
#[test]
fn an_encrypted_connection() {
    let mut server = OwnServer::start();
    server.stop();
    let authority = || {
        let mut parameters = rcgen::CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        (rcgen::Issuer::new(parameters, key), certificate.pem())
    };
    let ((issuer, own), (_, other)) = (authority(), authority());
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    server.write("server.crt", &certificate.pem());
    server.write("server.key", &key.serialize_pem());
    server.write("postgresql.auto.conf", "ssl = on\n");
    server.write("pg_hba.conf", "hostssl all all 127.0.0.1/32 trust\n");
    server.resume();
    let files = tempfile::tempdir().unwrap();
    let [own, other] = [("own.pem", own), ("other.pem", other)].map(|(name, pem)| {
        let path = files.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path
    });
    let connects = |host: &str, tls, ca_file: Option<&std::path::Path>| {
        let port = server.port;
        let url = format!("postgres://callmeter@{host}:{port}/postgres?hostaddr=127.0.0.1");
        let connected = Reader::connect(&PostgresJournal {
            tls: Some(tls),
            ca_file: ca_file.map(Into::into),
            ..PostgresJournal::new(url)
        });
        match connected {
            // There is no journal, but there is a connection.
            Err(JournalError::Missing { .. }) => true,
            Err(JournalError::Tls { .. } | JournalError::Refused { .. }) => false,
            other => panic!("{other:?}"),
        }
    };
    let (own, other) = (Some(own.as_path()), Some(other.as_path()));
    assert!(!connects("localhost", TlsMode::Disable, None));
    assert!(connects("example", TlsMode::Prefer, None));
    assert!(connects("example", TlsMode::Require, None));
    assert!(connects("example", TlsMode::Require, own));
    assert!(!connects("example", TlsMode::Require, other));
    assert!(connects("example", TlsMode::VerifyCa, own));
    assert!(!connects("localhost", TlsMode::VerifyCa, other));
    assert!(!connects("example", TlsMode::VerifyFull, own));
    assert!(connects("localhost", TlsMode::VerifyFull, own));
    assert!(!connects("localhost", TlsMode::VerifyFull, other));
    // The system trusts none of them.
    assert!(!connects("localhost", TlsMode::VerifyFull, None));
}

/// A server with its own certificate, which signs itself as `openssl req -x509` makes it, and the
/// file that names it.
fn with_own_certificate(
    server: &mut OwnServer,
    files: &tempfile::TempDir,
    change: impl FnOnce(&mut rcgen::CertificateParams),
) -> std::path::PathBuf {
    let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    change(&mut parameters);
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = parameters.self_signed(&key).unwrap().pem();
    server.stop();
    server.write("server.crt", &pem);
    server.write("server.key", &key.serialize_pem());
    server.write("postgresql.auto.conf", "ssl = on\n");
    server.resume();
    let path = files.path().join("server.pem");
    std::fs::write(&path, pem).unwrap();
    path
}

/// The certificate of the server itself may be the `ca_file`; its dates and its name count.
#[test]
fn a_server_with_its_own_certificate() {
    let mut server = OwnServer::start();
    let files = tempfile::tempdir().unwrap();
    let own = with_own_certificate(&mut server, &files, |_| {});
    let other_files = tempfile::tempdir().unwrap();
    let connects = |server: &OwnServer, host: &str, tls, file: &std::path::Path| {
        let port = server.port;
        let url = format!("postgres://callmeter@{host}:{port}/postgres?hostaddr=127.0.0.1");
        let connected = Reader::connect(&PostgresJournal {
            tls: Some(tls),
            ca_file: Some(file.to_owned()),
            ..PostgresJournal::new(url)
        });
        match connected {
            Err(JournalError::Missing { .. }) => true,
            Err(JournalError::Tls { .. }) => false,
            other => panic!("{other:?}"),
        }
    };
    for tls in [TlsMode::Require, TlsMode::VerifyCa] {
        assert!(connects(&server, "localhost", tls, &own), "{tls:?}");
        assert!(connects(&server, "example", tls, &own), "{tls:?}");
    }
    assert!(connects(&server, "localhost", TlsMode::VerifyFull, &own));
    assert!(!connects(&server, "example", TlsMode::VerifyFull, &own));
    // Another certificate with the same name is another server.
    let other = with_own_certificate(&mut server, &other_files, |_| {});
    assert!(connects(&server, "localhost", TlsMode::VerifyFull, &other));
    assert!(!connects(&server, "localhost", TlsMode::VerifyFull, &own));
    assert!(!connects(&server, "localhost", TlsMode::VerifyCa, &own));
    let expired = with_own_certificate(&mut server, &files, |parameters| {
        parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
        parameters.not_before = rcgen::date_time_ymd(2019, 1, 1);
    });
    assert!(!connects(
        &server,
        "localhost",
        TlsMode::VerifyFull,
        &expired
    ));
    assert!(!connects(&server, "localhost", TlsMode::VerifyCa, &expired));
}

/// A login by SCRAM is bound to the certificate of the server, so that nobody in between can pass
/// it on.
#[test]
fn a_login_is_bound_to_the_certificate() {
    let mut server = OwnServer::start();
    let files = tempfile::tempdir().unwrap();
    let own = with_own_certificate(&mut server, &files, |_| {});
    let mut client = postgres::Client::connect(&server.url(), postgres::NoTls).unwrap();
    client
        .batch_execute("CREATE ROLE meter LOGIN PASSWORD 'right'")
        .unwrap();
    server.stop();
    server.write(
        "pg_hba.conf",
        "hostssl all all 127.0.0.1/32 scram-sha-256\n",
    );
    server.resume();
    let port = server.port;
    let connect = |password: &str, tls, ca_file| {
        Reader::connect(&PostgresJournal {
            tls: Some(tls),
            ca_file,
            ..PostgresJournal::new(format!(
                "postgres://meter:{password}@localhost:{port}/postgres?hostaddr=127.0.0.1&channel_binding=require"
            ))
        })
        .unwrap_err()
    };
    // There is no journal, but there is a connection.
    let missing = connect("right", TlsMode::VerifyFull, Some(own));
    assert!(matches!(missing, JournalError::Missing { .. }), "{missing}");
    let missing = connect("right", TlsMode::Require, None);
    assert!(matches!(missing, JournalError::Missing { .. }), "{missing}");
    let refused = connect("wrong", TlsMode::Require, None);
    assert!(matches!(refused, JournalError::Refused { .. }), "{refused}");
    // Without TLS there is nothing to bind it to.
    let unbound = connect("right", TlsMode::Disable, None);
    assert!(matches!(unbound, JournalError::Unbound { .. }), "{unbound}");
    let trusts = "host all all 127.0.0.1/32 trust\n";
    let md5 = "host all callmeter 127.0.0.1/32 trust\nhost all meter 127.0.0.1/32 md5\n";
    let password = md5.replace("md5", "password");
    let mut texts = vec![unbound.to_string()];
    for (settings, rules) in [
        ("ssl = off\n", md5),
        ("ssl = on\n", trusts),
        ("ssl = on\n", &password),
    ] {
        server.stop();
        server.write("postgresql.auto.conf", settings);
        server.write("pg_hba.conf", rules);
        server.resume();
        let unbound = connect("right", TlsMode::Prefer, None);
        assert!(!unbound.is_transient(), "{unbound}");
        texts.push(unbound.to_string());
    }
    let texts = texts.join("\n");
    assert!(!texts.contains("right"), "{texts}");
    insta::assert_snapshot!(texts.replace(&port.to_string(), "PORT"));
}
