//! A running callmeter, started as an operator starts it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::Process;
use crate::programs;
use crate::samples::Samples;

/// How to reach its web server.
#[derive(Clone, Debug, Default)]
pub struct Web {
    /// The file of `--web.config.file`.
    pub config_file: Option<PathBuf>,
    /// The certificate to trust, as PEM. If set, requests use TLS.
    pub certificate: Option<String>,
    /// User and password.
    pub user: Option<(String, String)>,
}

/// A running callmeter.
#[derive(Debug)]
pub struct Exporter {
    process: Process,
    address: SocketAddr,
    web: Web,
    client: reqwest::Client,
}

/// A response of its web server.
#[derive(Debug)]
pub struct Answer {
    /// The status; 0 without a response.
    pub status: u16,
    /// The content type.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Exporter {
    /// Starts `callmeter run`, which logs at level debug into the file `log`, and does not wait.
    pub fn spawn(config_file: &Path, log: &Path, web: &Web) -> Process {
        let mut command = Command::new(programs::callmeter());
        command
            .arg("run")
            .arg(format!("--config.file={}", config_file.display()))
            .args(["--web.listen-address=127.0.0.1:0", "--web.enable-lifecycle"])
            .arg("--log.level=debug");
        if let Some(file) = &web.config_file {
            command.arg(format!("--web.config.file={}", file.display()));
        }
        Process::start(&mut command, log)
    }

    /// Starts `callmeter run` and waits until it is ready.
    pub async fn start(config_file: &Path, log: &Path, web: Web) -> Self {
        let process = Self::spawn(config_file, log, &web);
        Self::adopt(process, web).await
    }

    /// Waits until a spawned callmeter is ready.
    pub async fn adopt(process: Process, web: Web) -> Self {
        let begun = Instant::now();
        let exporter = Self::listening(process, web).await;
        while exporter.get("/-/ready").await.status != 200 {
            assert!(
                begun.elapsed() < crate::PATIENCE,
                "not ready:\n{}",
                exporter.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        exporter
    }

    /// Waits until a spawned callmeter listens. It may not be ready yet.
    pub async fn listening(mut process: Process, web: Web) -> Self {
        let begun = Instant::now();
        let address = loop {
            if let Some(address) = listening(&process.log()) {
                break address;
            }
            let ended = process.ended();
            assert!(
                ended.is_none() && begun.elapsed() < crate::PATIENCE,
                "callmeter does not listen ({ended:?}):\n{}",
                process.log()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        Self {
            process,
            address,
            client: client(&web),
            web,
        }
    }

    /// The address at which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of one of its pages.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.web.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}{path}", self.address)
    }

    /// Gets a page.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.client.get(self.url(path))).await
    }

    /// Gets a page with an `Accept` header.
    pub async fn get_as(&self, path: &str, accept: &str) -> Answer {
        let request = self.client.get(self.url(path));
        self.send(request.header("Accept", accept)).await
    }

    /// Reloads its configuration.
    ///
    /// # Panics
    /// If the reload fails.
    pub async fn reload(&self) {
        let answer = self.try_reload().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Asks it to reload its configuration and returns the response.
    pub async fn try_reload(&self) -> Answer {
        self.send(self.client.post(self.url("/-/reload"))).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = match &self.web.user {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        };
        let Ok(response) = request.send().await else {
            return Answer {
                status: 0,
                content_type: String::new(),
                body: Vec::new(),
            };
        };
        let content_type = response.headers().get("content-type");
        Answer {
            status: response.status().as_u16(),
            content_type: content_type.map_or_else(String::new, |value| {
                String::from_utf8_lossy(value.as_bytes()).into_owned()
            }),
            body: response.bytes().await.unwrap_or_default().to_vec(),
        }
    }

    /// The samples of `/metrics`.
    pub async fn metrics(&self) -> Samples {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Samples::read(&answer.text())
    }

    /// The document of `/api/v1/status`.
    pub async fn status(&self) -> Value {
        let answer = self.get("/api/v1/status").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// The status of one task of an account.
    pub async fn task(&self, account: &str, task: &str) -> Value {
        let status = self.status().await;
        let accounts = status["accounts"].as_array().unwrap();
        let account = accounts.iter().find(|known| known["name"] == account);
        account.map_or(Value::Null, |account| account["tasks"][task].clone())
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its process alone, which may end in other ways.
    pub fn into_process(self) -> Process {
        self.process
    }

    /// Stops it with SIGTERM.
    pub fn terminate(self) -> ExitStatus {
        self.process.terminate()
    }

    /// Waits until `condition` is true; panics with the status and the log.
    pub async fn until(&self, what: &str, mut condition: impl AsyncFnMut(&Self) -> bool) {
        crate::until(
            what,
            async || condition(self).await.then_some(()),
            async || {
                format!(
                    "{}\n{}",
                    self.get("/api/v1/status").await.text(),
                    tail(&self.log())
                )
            },
        )
        .await;
    }
}

/// The last lines of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// The address in the log line `listening`.
fn listening(log: &str) -> Option<SocketAddr> {
    log.lines()
        .find(|line| line.contains("msg=listening"))?
        .split("address=")
        .nth(1)?
        .split_whitespace()
        .next()?
        .trim_matches('"')
        .parse()
        .ok()
}

/// A client that uses no proxy and trusts no other certificate.
fn client(web: &Web) -> reqwest::Client {
    // Another test of this process may have done it.
    let _already = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30));
    builder = match &web.certificate {
        Some(pem) => {
            let certificate = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
            builder.tls_certs_only([certificate])
        }
        None => builder.tls_certs_only([]),
    };
    builder.build().unwrap()
}
