//! The state of an output and of its streams.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::json::optional_time;

/// How one stream of an output stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputStreamStatus {
    /// Records handed over since the program started.
    pub received: u64,
    /// Records acknowledged since the program started.
    pub delivered: u64,
    /// Records that will not be delivered, since the program started.
    pub dropped: u64,
    /// Records in the journal that are not acknowledged.
    pub lag: u64,
    /// When the oldest of those was journaled.
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
    /// What the library calls itself, with its version.
    pub description: Option<String>,
    /// Whether it works.
    pub up: bool,
    /// How it stands, in a word or two.
    pub state: String,
    /// What last went wrong, in plain words.
    pub error: Option<String>,
    /// Its streams.
    pub streams: BTreeMap<String, OutputStreamStatus>,
}
