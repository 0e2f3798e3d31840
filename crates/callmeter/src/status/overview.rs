//! Everything that the status page and `/api/v1/status` show.

use jiff::Timestamp;
use serde::Serialize;

use super::account::AccountStatus;
use super::charging::ChargingStatus;
use super::json::{optional_time, time};
use super::outputs::OutputStatus;
use super::sharing::SharingStatus;

/// The status of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfigStatus {
    /// The file.
    pub file: String,
    /// When it was last loaded.
    #[serde(serialize_with = "optional_time")]
    pub loaded: Option<Timestamp>,
    /// Why the last reload failed; `None` if it did not.
    pub error: Option<String>,
    /// What is valid but unwise.
    pub warnings: Vec<String>,
}

/// The status of the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct JournalStatus {
    /// The file.
    pub path: String,
    /// Bytes on disk.
    pub bytes: u64,
    /// The number of its last batch.
    pub last_batch: u64,
    /// Why it does not accept records now; `None` if it does.
    pub error: Option<String>,
    /// Why the totals do not follow a journal that instances share; `None` if they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_followed: Option<String>,
}

/// Versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Versions {
    /// Of this program.
    pub callmeter: &'static str,
    /// Of its source.
    pub revision: &'static str,
    /// Of its compiler.
    pub rustc: &'static str,
    /// Of its target.
    pub target: &'static str,
}

/// Everything, at one point in time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// The time of this status.
    #[serde(serialize_with = "time")]
    pub now: Timestamp,
    /// When the program started.
    #[serde(serialize_with = "time")]
    pub started: Timestamp,
    /// Whether journal, meter and outputs work and polling has started.
    pub ready: bool,
    /// The versions of this build.
    pub versions: Versions,
    /// The configuration.
    pub config: ConfigStatus,
    /// The accounts by name.
    pub accounts: Vec<AccountStatus>,
    /// The entries of `charges`, by name.
    pub charges: Vec<ChargingStatus>,
    /// The outputs by name.
    pub outputs: Vec<OutputStatus>,
    /// The journal.
    pub journal: JournalStatus,
    /// How the work is shared; `None` if the journal is a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharing: Option<SharingStatus>,
}
