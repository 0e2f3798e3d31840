//! The state of an output and of its streams.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::json::optional_time;

/// The status of one stream of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputStreamStatus {
    /// Records passed to it since the program started.
    pub received: u64,
    /// Records acknowledged since the program started.
    pub delivered: u64,
    /// Records that will not be delivered, since the program started.
    pub dropped: u64,
    /// Records in the journal that are not acknowledged.
    pub lag: u64,
    /// When the oldest of them was journaled.
    #[serde(serialize_with = "optional_time")]
    pub oldest: Option<Timestamp>,
}

/// One output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputStatus {
    /// Its name.
    pub name: String,
    /// The library.
    pub plugin: String,
    /// The name and version that the library states.
    pub description: Option<String>,
    /// Whether it works.
    pub up: bool,
    /// Its state, in a word or two.
    pub state: String,
    /// The last error.
    pub error: Option<String>,
    /// Its streams.
    pub streams: BTreeMap<String, OutputStreamStatus>,
}
