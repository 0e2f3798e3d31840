//! Starts the program inside the test, against a simulator.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use callmeter::app::{self, Shutdown, Startup};
use callmeter::cli::WebArgs;
use callmeter::exit::Failure;
use callmeter::secret_redactor::SecretRedactor;
use callmeter::stop::{StopSender, stop};
use callmeter_simulator::{Ledger, LedgerQuery, Options, Running, Simulator, Sums};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// Longer than anything here takes on a loaded machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// A simulator and the directory of a callmeter that reads it.
pub(crate) struct World {
    pub(crate) simulator: Running,
    directory: TempDir,
}

impl World {
    /// A world of `calls` calls within two days, all of them over.
    pub(crate) async fn with_calls(calls: u64) -> Self {
        Self::new(Options {
            calls: Some(calls),
            days: 2,
            rates: 50,
            ..Options::default()
        })
        .await
    }

    pub(crate) async fn new(options: Options) -> Self {
        let simulator = Simulator::start(options).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let world = Self {
            simulator,
            directory,
        };
        world.write("suite.password", "simulated\n");
        world.write("pbx.password", "simulated\n");
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The configuration of a HostedSuite account.
    pub(crate) fn suite(&self, name: &str) -> String {
        format!(
            "  - name: {name}\n    hostedsuite:\n      url: {}\n      customer: Acme\n      username: exporter\n      \
             password_file: suite.password\n      time_zone: UTC\n      \
             calls: {{ every: 1s, lookback: 4d, settle: 0s, page_size: 100 }}\n      balances: {{ every: 1s }}\n",
            self.simulator.hostedsuite_url()
        )
    }

    /// The configuration of a PortSIP account.
    pub(crate) fn pbx(&self, name: &str) -> String {
        format!(
            "  - name: {name}\n    portsip:\n      url: {}\n      username: billing\n      \
             password_file: pbx.password\n      domain: pbx.example.com\n      billing: {{ every: 1s }}\n      \
             rates: {{ every: 1s }}\n",
            self.simulator.portsip_url()
        )
    }

    /// Writes the configuration with these accounts.
    pub(crate) fn configure(&self, accounts: &[String]) -> PathBuf {
        let accounts = accounts.concat();
        self.write(
            "callmeter.yml",
            &format!("accounts:\n{accounts}journal: {{ path: journal.db }}\n"),
        )
    }

    pub(crate) fn ledger(&self) -> Ledger {
        self.simulator.ledger(&LedgerQuery::default())
    }

    /// Starts callmeter with the configuration that was written last.
    pub(crate) async fn start(&self) -> Program {
        let begun = Instant::now();
        loop {
            let program = Program::start(&self.path("callmeter.yml")).await;
            while !program.task.is_finished() {
                if program.get("/-/ready").await.0 == 200 {
                    return program;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // Threads of the previous program may lock the journal a moment longer.
            let failure = program.task.await.unwrap().unwrap_err();
            let held = matches!(failure, Failure::Journal(_)) && begun.elapsed() < PATIENCE;
            assert!(held, "{failure}");
        }
    }
}

/// A running callmeter.
pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    stop: StopSender,
    task: JoinHandle<Result<Shutdown, Failure>>,
}

impl Program {
    async fn start(config_file: &Path) -> Self {
        let web = WebArgs {
            listen_address: vec!["127.0.0.1:0".to_owned()],
            web_config_file: None,
            telemetry_path: "/metrics".to_owned(),
            max_requests: 40,
            enable_lifecycle: true,
        };
        let redactor = Arc::new(SecretRedactor::new());
        let startup = Startup::new(config_file.to_path_buf(), web, redactor)
            .await
            .unwrap();
        let address = startup.addresses()[0];
        let (stop, ended) = stop();
        Self {
            address,
            stop,
            task: tokio::spawn(app::run(startup, ended)),
        }
    }

    /// Ends it in order.
    pub(crate) async fn end(self) {
        self.stop.stop();
        let end = self.task.await.unwrap().unwrap();
        assert_eq!(end.late_outputs, Vec::<String>::new());
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        self.request("GET", path).await
    }

    /// Status and body of an answer. HTTP/1.0, so that the end of the body is the end of the
    /// stream.
    pub(crate) async fn request(&self, method: &str, path: &str) -> (u16, String) {
        let Ok(mut stream) = TcpStream::connect(self.address).await else {
            return (0, String::new());
        };
        let request =
            format!("{method} {path} HTTP/1.0\r\nHost: callmeter\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        if stream.read_to_string(&mut answer).await.is_err() {
            return (0, String::new());
        }
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }

    /// Waits until `condition` holds; fails with what the program shows.
    pub(crate) async fn until(&self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        let begun = Instant::now();
        while !condition(self).await {
            let status = self.get("/api/v1/status").await.1;
            assert!(begun.elapsed() < PATIENCE, "not {what}: {status}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn metrics(&self) -> Metrics {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200);
        Metrics::read(&text)
    }
}

/// The samples of a scrape.
pub(crate) struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    fn read(text: &str) -> Self {
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(series, value)| (series.to_owned(), value.parse().unwrap()));
        Self(samples.collect())
    }

    /// The sum of the samples of a family whose labels contain all of `labels`.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.series(name, labels).map(|(_, value)| value).sum()
    }

    /// The number of such samples.
    pub(crate) fn count(&self, name: &str, labels: &[&str]) -> usize {
        self.series(name, labels).count()
    }

    fn series(&self, name: &str, labels: &[&str]) -> impl Iterator<Item = (&String, f64)> {
        self.0.iter().filter_map(move |(series, value)| {
            let rest = series.strip_prefix(name)?;
            let fits = rest.is_empty() || rest.starts_with('{');
            (fits && labels.iter().all(|label| rest.contains(label))).then_some((series, *value))
        })
    }

    /// What the counters and histograms of an account add up to, in the ledger's terms.
    pub(crate) fn sums(&self, account: &str) -> Sums {
        let account = format!("account=\"{account}\"");
        let sum = |name: &str| self.sum(name, &[&account]);
        let millis =
            |time: &str| whole(sum(&format!("callmeter_call_{time}_seconds_sum")) * 1_000.0);
        Sums {
            calls: whole(sum("callmeter_calls_total")),
            unanswered: whole(sum("callmeter_calls_unanswered_total")),
            flagged: whole(sum("callmeter_calls_flagged_total")),
            duration_ms: millis("duration"),
            ring_ms: millis("ring"),
            hold_ms: millis("hold"),
            talk_ms: millis("talk"),
            transfer_ms: millis("transfer"),
            work_ms: millis("work"),
            holds: 0,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// The ledger's sums without what callmeter does not publish.
pub(crate) fn published(sums: Sums) -> Sums {
    Sums { holds: 0, ..sums }
}
