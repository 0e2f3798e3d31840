//! A reading of a day between two polls, and how it ends.

use std::collections::HashSet;

use hostedsuite_client::{CallPages, Hashed, Position};

use super::coverage::Reading;
use super::outside::OutsideRows;
use crate::sources::error::PollError;

/// A reading of a day that is not at its end.
pub(super) struct OpenReading {
    pub(super) pages: CallPages,
    pub(super) reading: Reading,
    /// Whether the day had been proven before.
    pub(super) was_proven: bool,
    /// The rows received.
    pub(super) rows: u64,
    /// Those of them that cannot be read.
    pub(super) unreadable: u64,
    /// Where the first of these is, and what is wrong with it.
    pub(super) first_unreadable: Option<String>,
    /// Those of them that start far from the day.
    pub(super) outside: OutsideRows,
    /// The calls that started on the day, by hashes of their ids; `None` if the reading began where
    /// another process stopped.
    pub(super) own: Option<HashSet<u64, Hashed>>,
    /// Calls that the journal did not have.
    pub(super) new: u64,
    /// Those of them that the tail missed.
    pub(super) missed_by_tail: u64,
}

impl OpenReading {
    /// Where another process goes on. Rows that do not count are known to this one only.
    pub(super) fn stored_position(&self) -> Option<Position> {
        let has_lost_none = self.unreadable == 0 && self.outside.calls() == 0;
        self.pages.position().filter(|_| has_lost_none)
    }
}

/// How the reading of a day ended.
pub(super) enum DayEnd {
    /// All of its calls were read, and that is proven.
    Proven(Reading),
    /// It goes on with the next poll.
    Interrupted {
        position: Option<Position>,
        /// The cap that it reached; `None` if the poll's time is over.
        cap: Option<String>,
        /// Whether the poll can read other days.
        goes_on: bool,
    },
    /// It could not be read to its end.
    Failed(PollError),
}
