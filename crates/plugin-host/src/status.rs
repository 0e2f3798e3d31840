//! What an output is doing, for the metrics, the status page and `callmeter plugin list`.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use callmeter_records::{Backlog, Stream};

/// What an output is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputState {
    /// The first instance is being created.
    Starting,
    /// It takes batches or waits for them.
    Running,
    /// The plugin asked to try again later.
    Retrying,
    /// The instance failed; a new one is created after a while.
    Restarting,
    /// A call does not return.
    Hung,
    /// callmeter stops, or the output was removed.
    Stopping,
    /// It has stopped.
    Stopped,
}

impl OutputState {
    /// The state in one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Restarting => "restarting",
            Self::Hung => "hung",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

/// The status of an output at one moment.
#[derive(Debug, Clone)]
pub struct OutputStatus {
    /// The output's name in the configuration.
    pub name: String,
    /// What it is doing.
    pub state: OutputState,
    /// Whether it takes records: an instance runs, no call hangs, it has not failed several times
    /// in a row, and it has not waited for another attempt for long.
    pub up: bool,
    /// The plugin's file; empty if the plugin is linked statically.
    pub path: PathBuf,
    /// The plugin, once an instance was created.
    pub plugin: Option<PluginIdentity>,
    /// The last failure, even if the output has recovered.
    pub last_error: Option<LastError>,
    /// The plugin call in progress and how long it has taken so far.
    pub call: Option<(&'static str, Duration)>,
    /// How many instances were created after the first.
    pub restarts: u64,
    /// How often the plugin asked for another attempt.
    pub retries: u64,
    /// Its streams.
    pub streams: Vec<StreamStatus>,
}

/// Which plugin an output runs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PluginIdentity {
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its file; empty for one that is linked statically.
    pub path: String,
    /// The SHA-256 of its file, in hexadecimal; empty for one that is linked statically.
    pub sha256: String,
}

/// The subject of a reason that is about the end of a plugin's process.
pub(crate) const OWN_PROCESS: &str = "the plugin's process";

/// A failure and its time.
#[derive(Debug, Clone)]
pub struct LastError {
    /// What failed and why.
    pub text: String,
    /// When it failed.
    pub at: SystemTime,
}

impl LastError {
    /// Whether the plugin's own process ended, by a crash or because it hung.
    pub fn is_end_of_process(&self) -> bool {
        self.text.contains(OWN_PROCESS)
    }
}

/// The counters and the backlog of a stream of an output. The counters start at 0 with the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamStatus {
    /// The stream.
    pub stream: Stream,
    /// Records read for the output, counted once however often they are sent.
    pub received: u64,
    /// Records that the plugin made durable.
    pub delivered: u64,
    /// Records that the plugin refused, which are now dead letters.
    pub dropped: u64,
    /// What the output has yet to acknowledge.
    pub backlog: Backlog,
}

impl StreamStatus {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            received: 0,
            delivered: 0,
            dropped: 0,
            backlog: Backlog::default(),
        }
    }
}
