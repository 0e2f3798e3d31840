//! Configurations of a callmeter that reads a simulator.

use std::path::{Path, PathBuf};

use callmeter_simulator::Running;
use tempfile::TempDir;

/// A directory with a configuration, its secret files, and everything that callmeter writes.
#[derive(Debug)]
pub struct World {
    directory: TempDir,
}

impl World {
    /// An empty directory.
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes the configuration, with the journal beside it.
    pub fn configure(&self, accounts: &[String], outputs: &[String]) -> PathBuf {
        let outputs = if outputs.is_empty() {
            String::new()
        } else {
            format!("outputs:\n{}", outputs.concat())
        };
        self.write(
            "callmeter.yml",
            &format!(
                "accounts:\n{}journal: {{ path: journal.db, keep: 3650d }}\n{outputs}",
                accounts.concat()
            ),
        )
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// Keys of `calls` for tests that are about other things than the tail and the budget.
const EVERY_POLL_READS_ALL: &str = "tail: off, max_requests_per_minute: 100000";

/// A HostedSuite account of a configuration.
#[derive(Clone, Debug)]
pub struct SuiteAccount {
    /// The account's name.
    pub name: String,
    /// The keys of `hostedsuite` besides the credentials, one per line.
    pub settings: Vec<String>,
    url: String,
    customer: String,
    username: String,
}

impl SuiteAccount {
    /// An account of a simulator that polls calls every second and nothing else.
    pub fn of(name: &str, simulator: &Running) -> Self {
        let login = &simulator.options().credentials.hostedsuite;
        Self {
            name: name.to_owned(),
            settings: vec![
                format!("time_zone: {}", simulator.options().time_zone),
                "balances: { enabled: false }".to_owned(),
                "clients: { enabled: false }".to_owned(),
            ],
            url: simulator.hostedsuite_url(),
            customer: login.customer.clone(),
            username: login.username.clone(),
        }
        .calls("every: 1s, lookback: 5d, settle: 0s, page_size: 50")
    }

    /// Sets a key of `hostedsuite`.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        let start = format!("{key}:");
        self.settings.retain(|line| !line.starts_with(&start));
        self.settings.push(format!("{key}: {value}"));
        self
    }

    /// Sets keys of `calls`, such as `every: 1s`. Each poll reads all days of the lookback, and the
    /// budget of requests is out of the way.
    #[must_use]
    pub fn calls(self, keys: &str) -> Self {
        self.with("calls", &format!("{{ {keys}, {EVERY_POLL_READS_ALL} }}"))
    }

    /// Returns the YAML and writes the password into the file `NAME.password`.
    pub fn yaml(&self, world: &World, password: &str) -> String {
        world.write(&format!("{}.password", self.name), password);
        format!(
            "  - name: {name}\n    hostedsuite:\n      url: {}\n      customer: {}\n      username: {}\n      \
             password_file: {name}.password\n{}",
            self.url,
            quoted(&self.customer),
            quoted(&self.username),
            indented(&self.settings),
            name = self.name,
        )
    }
}

/// A PortSIP account of a configuration.
#[derive(Clone, Debug)]
pub struct PbxAccount {
    /// The account's name.
    pub name: String,
    /// The keys of `portsip` besides the credentials, one per line.
    pub settings: Vec<String>,
    url: String,
    username: String,
    domain: String,
}

impl PbxAccount {
    /// An account of a simulator that polls everything every second.
    pub fn of(name: &str, simulator: &Running) -> Self {
        let login = &simulator.options().credentials.portsip;
        Self {
            name: name.to_owned(),
            settings: vec![
                "billing: { every: 1s }".to_owned(),
                "rates: { every: 1s }".to_owned(),
            ],
            url: simulator.portsip_url(),
            username: login.username.clone(),
            domain: login.domain.clone(),
        }
    }

    /// Sets a key of `portsip`.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        let start = format!("{key}:");
        self.settings.retain(|line| !line.starts_with(&start));
        self.settings.push(format!("{key}: {value}"));
        self
    }

    /// Returns the YAML and writes the password into the file `NAME.password`.
    pub fn yaml(&self, world: &World, password: &str) -> String {
        world.write(&format!("{}.password", self.name), password);
        format!(
            "  - name: {name}\n    portsip:\n      url: {}\n      username: {}\n      \
             password_file: {name}.password\n      domain: {}\n{}",
            self.url,
            quoted(&self.username),
            self.domain,
            indented(&self.settings),
            name = self.name,
        )
    }
}

fn indented(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("      {line}")).collect();
    lines.join("\n") + "\n"
}

/// An output of a configuration; `config` is a map in YAML.
pub fn output(name: &str, library: &Path, streams: &str, config: &str) -> String {
    format!(
        "  - name: {name}\n    plugin: {}\n    streams: [{streams}]\n    config: {config}\n",
        quoted(&library.display().to_string())
    )
}

/// A text quoted for YAML, which accepts JSON's quoting.
pub fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}
