//! How the entries of `charges` get on.

use serde::Serialize;

/// How an entry of `charges` gets on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ChargingStatus {
    /// The name of the entry.
    pub name: String,
    /// The account of the calls.
    pub account: String,
    /// Calls that are not charged yet.
    pub waiting: u64,
    /// Why calls cannot be charged now; `None` if they can.
    pub reason: Option<String>,
    /// Why the file of the deck cannot be read; `None` if it can, or there is none.
    pub error: Option<String>,
}
