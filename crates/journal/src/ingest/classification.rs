//! The classes of calls, and how many calls of a page are in each.

use std::ops::AddAssign;

/// How the journal classifies a call of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Classification {
    /// The journal does not have the call: it will be appended.
    New {
        /// The call had settled before the last complete poll started, but that poll did not
        /// return it.
        late: bool,
        /// The call has no id.
        unnamed: bool,
    },
    /// The journal has the call with other contents: it will be appended with its previous values.
    Revised,
    /// The journal has the call with the same contents; in a
    /// [`Purpose::Tail`](crate::Purpose::Tail), with any.
    Known,
    /// The same poll returned the id before.
    Repeated,
    /// The call ended less than `settle` ago, or has not ended: see
    /// [`PageIngest::settled_at`](crate::PageIngest::settled_at).
    Unsettled,
    /// The call started outside the requested window.
    OutsideWindow,
    /// The call is so old that retention may have deleted it: the journal cannot tell whether it
    /// was counted.
    Forgotten,
}

/// How many calls of a page are in each [`Classification`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants of the same names describe them")]
pub struct PageCounts {
    /// New calls, including late calls and calls without an id.
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
    pub(crate) fn count(&mut self, classification: Classification) {
        let counter = match classification {
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

    /// The number of calls of the page.
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

impl PageCounts {
    /// What was counted after `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            new: self.new - before.new,
            late: self.late - before.late,
            unnamed: self.unnamed - before.unnamed,
            revised: self.revised - before.revised,
            known: self.known - before.known,
            repeated: self.repeated - before.repeated,
            unsettled: self.unsettled - before.unsettled,
            outside_window: self.outside_window - before.outside_window,
            forgotten: self.forgotten - before.forgotten,
        }
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
