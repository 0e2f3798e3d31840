//! The settings of the faults of the list of calls: its pages, times and ids.

use serde::{Deserialize, Serialize};

use super::bounds::Bounds;

/// The totals of a page of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Totals {
    /// `TotalCount` and `TotalPages` are 0, as with DisableStats.
    Zero,
    /// They are absent.
    Absent,
}

impl Bounds for Totals {}

/// Page 0 of a server that counts from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageZero {
    /// It has no rows.
    Empty,
    /// It is an error with status 500.
    Refused,
}

impl Bounds for PageZero {}

/// A page without rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmptyPage {
    /// `Items` is absent.
    WithoutItems,
    /// The status is 204, without a body.
    NoContent,
}

impl Bounds for EmptyPage {}

/// How the times of a call are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeStyle {
    /// `2026-08-06T08:45:00-04:00`.
    Offset,
    /// `2026-08-06T12:45:00Z`.
    Utc,
}

impl Bounds for TimeStyle {}

/// The ids of calls in another spelling of the same GUID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdSpelling {
    /// The spelling.
    pub style: IdStyle,
    /// How many requests to HostedSuite and the PBX are answered first, since the faults changed.
    pub after: u64,
}

impl Bounds for IdSpelling {}

/// A spelling of a GUID; without this fault it is 32 digits in lower case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdStyle {
    /// In groups of 8, 4, 4, 4 and 12 digits.
    #[default]
    Dashes,
    /// In upper case.
    Capitals,
    /// In upper case, with dashes, in braces.
    Braces,
}
