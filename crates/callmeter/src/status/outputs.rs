//! What the status page and `/api/v1/status` say about an output.

use callmeter_plugin_host::{OutputState, OutputStatus as HostStatus, StreamStatus};
use jiff::Timestamp;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::secret_redactor::SecretRedactor;

/// One output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputStatus {
    /// Its name.
    pub name: String,
    /// The plugin's file.
    pub plugin: String,
    /// The plugin's name and version.
    pub description: Option<String>,
    /// Whether it works.
    pub up: bool,
    /// What it is doing, in one word.
    pub state: &'static str,
    /// What is wrong, if something is.
    pub error: Option<String>,
    /// Its streams.
    #[serde(serialize_with = "streams")]
    pub streams: Vec<StreamStatus>,
}

impl OutputStatus {
    /// Takes over what the plugin host knows, without the secrets that a plugin put into an error.
    pub(crate) fn new(status: HostStatus, redactor: &SecretRedactor) -> Self {
        let failing = !status.up || status.state != OutputState::Running;
        let error = status.last_error.filter(|_| failing);
        Self {
            plugin: status.path.display().to_string(),
            description: status
                .plugin
                .map(|plugin| format!("{} {}", plugin.name, plugin.version)),
            up: status.up,
            state: status.state.name(),
            error: error.map(|error| redactor.scrub(&error.text)),
            name: status.name,
            streams: status.streams,
        }
    }
}

impl OutputStatus {
    /// Whether it starts and has had no error.
    pub(crate) fn starts(&self) -> bool {
        !self.up && self.state == OutputState::Starting.name() && self.error.is_none()
    }
}

/// When the oldest record that waits was journaled.
pub(crate) fn oldest(stream: &StreamStatus) -> Option<Timestamp> {
    let micros = stream.backlog.oldest_observed_at?;
    Timestamp::from_microsecond(micros).ok()
}

/// The streams by name, as `/api/v1/status` documents them.
fn streams<S: Serializer>(streams: &[StreamStatus], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Figures {
        received: u64,
        delivered: u64,
        dropped: u64,
        lag: u64,
        oldest: Option<String>,
    }
    let mut map = serializer.serialize_map(Some(streams.len()))?;
    for stream in streams {
        let figures = Figures {
            received: stream.received,
            delivered: stream.delivered,
            dropped: stream.dropped,
            lag: stream.backlog.records,
            oldest: oldest(stream).map(|time| format!("{time:.3}")),
        };
        map.serialize_entry(stream.stream.name(), &figures)?;
    }
    map.end()
}
