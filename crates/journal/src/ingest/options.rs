//! What a poll asks for, and why.

use std::ops::Range;
use std::time::Duration;

/// Why a poll reads calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To continue from the watermark: the range moves with time and starts a lookback before the
    /// watermark.
    Regular,
    /// To find new calls early, in a part of a range. Edits of known calls are left to the readings
    /// of whole days: a call that an API lists twice with different contents would otherwise change
    /// with every reading.
    Tail,
    /// To read a range of the past, whether it was read before or not.
    Backfill,
}

/// Options of a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollOptions {
    /// Why the poll reads calls.
    pub purpose: Purpose,
    /// The start times that the poll asks for: UTC, microseconds. All its windows are within this
    /// range.
    pub range: Range<i64>,
    /// How long ago a call must have ended to be counted. A later poll counts younger calls.
    pub settle: Duration,
}
