//! A small HTTP server that keeps what it was sent and answers as it is told, with TLS if need be.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) line: String,
    /// Names in lower case, in the order of arrival.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    #[track_caller]
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        &found.unwrap_or_else(|| panic!("no {name}")).1
    }
}

#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// 0 to hang up.
    status: u16,
    headers: String,
    body: &'static str,
    after: Duration,
}

impl Answer {
    pub(super) fn status(status: u16) -> Self {
        Self {
            status,
            headers: String::new(),
            body: "",
            after: Duration::ZERO,
        }
    }

    pub(super) fn hang_up() -> Self {
        Self::status(0)
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers = format!("{}{name}: {value}\r\n", self.headers);
        self
    }

    pub(super) fn body(mut self, body: &'static str) -> Self {
        self.body = body;
        self
    }

    pub(super) fn after(mut self, wait: Duration) -> Self {
        self.after = wait;
        self
    }
}

pub(super) struct Server {
    scheme: &'static str,
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `answer` is given the number of requests before.
    pub(super) fn start(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen("http", answer, |socket, serve| {
            serve(&mut { socket });
        })
    }

    pub(super) fn start_tls(
        config: Arc<ServerConfig>,
        answer: impl Fn(usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::listen("https", answer, move |socket, serve| {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            serve(&mut StreamOwned::new(connection, socket));
        })
    }

    fn listen(
        scheme: &'static str,
        answer: impl Fn(usize) -> Answer + Send + Sync + 'static,
        accept: impl Fn(TcpStream, &dyn Fn(&mut dyn Stream)) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let (answer, accept) = (Arc::new(answer), Arc::new(accept));
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let (answer, accept, kept) =
                    (Arc::clone(&answer), Arc::clone(&accept), Arc::clone(&kept));
                std::thread::spawn(move || {
                    accept(socket, &|stream| serve(stream, &*answer, &kept));
                });
            }
        });
        Self {
            scheme,
            port,
            requests,
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        let host = if self.scheme == "https" {
            "localhost"
        } else {
            "127.0.0.1"
        };
        format!("{}://{host}:{}{path}", self.scheme, self.port)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

fn serve(stream: &mut dyn Stream, answer: &dyn Fn(usize) -> Answer, kept: &Mutex<Vec<Request>>) {
    while let Some(request) = read(stream) {
        let before = {
            let mut kept = kept.lock().unwrap();
            kept.push(request);
            kept.len() - 1
        };
        let answer = answer(before);
        std::thread::sleep(answer.after);
        if answer.status == 0 {
            return;
        }
        let text = format!(
            "HTTP/1.1 {} X\r\nContent-Length: {}\r\n{}\r\n{}",
            answer.status,
            if answer.status == 204 {
                0
            } else {
                answer.body.len()
            },
            answer.headers,
            answer.body
        );
        if stream
            .write_all(text.as_bytes())
            .and_then(|()| stream.flush())
            .is_err()
        {
            return;
        }
    }
}

/// Clients here send one request and wait: what a buffer reads ahead is never of the next.
fn read(stream: &mut dyn Stream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length")?;
    let mut body = vec![0; length.1.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        line: line.trim_end().to_owned(),
        headers,
        body,
    })
}

/// An authority, a server certificate for `localhost` and a client certificate.
pub(super) struct Pki {
    pub(super) ca: String,
    pub(super) client_cert: String,
    pub(super) client_key: String,
    server_cert: String,
    server_key: String,
}

impl Pki {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let issue = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            (
                params.signed_by(&key, &ca).unwrap().pem(),
                key.serialize_pem(),
            )
        };
        let (server_cert, server_key) = issue("localhost");
        let (client_cert, client_key) = issue("callmeter");
        Self {
            ca: ca.pem(),
            client_cert,
            client_key,
            server_cert,
            server_key,
        }
    }

    pub(super) fn server_config(&self) -> ServerConfig {
        let certificate = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&self.ca)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap();
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![certificate(&self.server_cert)],
                PrivateKeyDer::from_pem_slice(self.server_key.as_bytes()).unwrap(),
            )
            .unwrap()
    }
}
