//! What a poll asks, and what becomes of the calls that come.

use std::ops::{AddAssign, Range};
use std::time::Duration;

/// Why a poll asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To go on from the watermark: its range moves with time, and begins a lookback before the watermark.
    Regular,
    /// To read a range of the past again, whether read before or not.
    Backfill,
}

/// What a poll is about to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollOptions {
    /// Why.
    pub purpose: Purpose,
    /// The start times (UTC, microseconds) that its windows lie in.
    pub range: Range<i64>,
    /// How long ago a call must have ended to be counted: a younger one is skipped and comes with a later poll.
    pub settle: Duration,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classification {
    /// Never seen: it will be journaled. `late`: an earlier poll should have had it. `unnamed`: it has no id.
    New {
        /// It had settled before the last complete poll began, which did not have it.
        late: bool,
        /// It has no id.
        unnamed: bool,
    },
    /// Seen with other contents: it will be journaled again, with what it was before.
    Revised,
    /// Seen just so.
    Known,
    /// Its id came before in the same poll.
    Repeated,
    /// It ended less than `settle` ago, or has not ended.
    Unsettled,
    /// It began outside the window that was asked for.
    OutsideWindow,
    /// It began so long ago that retention may have dropped it: whether it was counted is not known.
    Forgotten,
}

/// How many calls of a page had which [`Classification`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "described with the verdicts of the same names")]
pub struct PageCounts {
    /// New ones, those late or without an id among them.
    pub new: u64,
    pub late: u64,
    pub unnamed: u64,
    pub revised: u64,
    pub known: u64,
    pub repeated: u64,
    pub unsettled: u64,
    pub outside_window: u64,
    pub forgotten: u64,
}

impl PageCounts {
    pub(crate) fn count(&mut self, verdict: Classification) {
        let counter = match verdict {
            Classification::New { late, unnamed } => {
                self.late += u64::from(late);
                self.unnamed += u64::from(unnamed);
                &mut self.new
            }
            Classification::Revised => &mut self.revised,
            Classification::Known => &mut self.known,
            Classification::Repeated => &mut self.repeated,
            Classification::Unsettled => &mut self.unsettled,
            Classification::OutsideWindow => &mut self.outside_window,
            Classification::Forgotten => &mut self.forgotten,
        };
        *counter += 1;
    }

    /// All calls of the page.
    pub fn total(&self) -> u64 {
        self.new
            + self.revised
            + self.known
            + self.repeated
            + self.unsettled
            + self.outside_window
            + self.forgotten
    }
}

impl AddAssign for PageCounts {
    fn add_assign(&mut self, other: Self) {
        self.new += other.new;
        self.late += other.late;
        self.unnamed += other.unnamed;
        self.revised += other.revised;
        self.known += other.known;
        self.repeated += other.repeated;
        self.unsettled += other.unsettled;
        self.outside_window += other.outside_window;
        self.forgotten += other.forgotten;
    }
}
