//! The last state of something that an instance works on.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::json::optional_time;

/// The last state of an account, an output, or an entry of `charges`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkState {
    /// Whether it works; `None` before the first attempt has ended.
    pub works: Option<bool>,
    /// What is wrong, without secrets; shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When a poll of the account last succeeded.
    #[serde(
        serialize_with = "optional_time",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_success: Option<Timestamp>,
    /// The account's days that may miss calls.
    #[serde(skip_serializing_if = "is_zero")]
    pub days_incomplete: u64,
    /// Records that the output has not acknowledged, or calls that are not charged.
    #[serde(skip_serializing_if = "is_zero")]
    pub waiting: u64,
    /// When the oldest of these records was journaled.
    #[serde(
        serialize_with = "optional_time",
        skip_serializing_if = "Option::is_none"
    )]
    pub oldest: Option<Timestamp>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference to the field"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
