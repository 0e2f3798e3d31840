//! What an output is doing, for the metrics, the status page and `callmeter plugin list`.

use std::time::{Duration, SystemTime};

use callmeter_records::Stream;

use crate::settings::Isolation;

/// What an output is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputState {
    /// The first instance is being made.
    Starting,
    /// It takes batches, or waits for some.
    Running,
    /// The plugin asked to try again later.
    Retrying,
    /// The instance ended; a new one is made after a while.
    Restarting,
    /// A call does not return.
    Hung,
    /// callmeter ends, or the output was removed.
    Stopping,
    /// It has ended.
    Stopped,
}

impl OutputState {
    /// One word.
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

/// A picture of an output at one moment.
#[derive(Debug, Clone)]
pub struct OutputStatus {
    /// The output's name in the configuration.
    pub name: String,
    /// What it is doing.
    pub state: OutputState,
    /// Whether it takes records: an instance runs, no call hangs, and it did not fail several times
    /// in a row.
    pub up: bool,
    /// Where the plugin runs.
    pub isolation: Isolation,
    /// The plugin, once an instance was made.
    pub plugin: Option<PluginIdentity>,
    /// The last failure, also if it is over.
    pub last_error: Option<LastError>,
    /// The call in progress and for how long.
    pub call: Option<(&'static str, Duration)>,
    /// How many instances were made after the first.
    pub restarts: u64,
    /// How often the plugin asked to try again.
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

/// A failure and when it was.
#[derive(Debug, Clone)]
pub struct LastError {
    /// What failed and why.
    pub text: String,
    /// When.
    pub at: SystemTime,
}

/// Counters and lag of a stream of an output. Counters begin at 0 with the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamStatus {
    /// The stream.
    pub stream: Stream,
    /// Records read for the output, each once, however often they are sent.
    pub received: u64,
    /// Records that the plugin made durable.
    pub delivered: u64,
    /// Records that the plugin refused, now among the dead letters.
    pub dropped: u64,
    /// Records that are neither.
    pub lag_records: u64,
    /// When the oldest of those was observed, in microseconds since 1970, UTC.
    pub oldest_unacknowledged: Option<i64>,
    /// Records that the journal dropped before the output had them.
    pub lost: u64,
}

impl StreamStatus {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            received: 0,
            delivered: 0,
            dropped: 0,
            lag_records: 0,
            oldest_unacknowledged: None,
            lost: 0,
        }
    }
}
