//! Batches that the plugin accepted and has not made durable.

use std::collections::VecDeque;
use std::time::Instant;

use callmeter_records::{BatchSeq, Stream};

use crate::dead_letters::DeadLetter;

/// Where a batch came from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// The journal: the cursor moves to this batch when it is settled.
    Journal(BatchSeq),
    /// A dead letter that is replayed: its files are removed when it is delivered.
    DeadLetter(Box<DeadLetter>),
}

/// A batch in the window.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    pub(crate) stream: Stream,
    pub(crate) origin: Origin,
    pub(crate) records: u64,
    pub(crate) bytes: usize,
    /// Refused and stored as a dead letter: nothing needs to become durable.
    pub(crate) refused: bool,
    pub(crate) accepted_at: Instant,
}

/// The unflushed batches in order.
#[derive(Debug, Default)]
pub(crate) struct Window {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Window {
    pub(crate) fn push(&mut self, entry: Entry) {
        self.bytes += entry.bytes;
        self.entries.push_back(entry);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.entries.front().map(|entry| entry.accepted_at)
    }

    pub(crate) fn newest(&self) -> Option<Instant> {
        self.entries.back().map(|entry| entry.accepted_at)
    }

    /// Whether the dead letter of this name waits to become durable.
    pub(crate) fn holds_dead_letter(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| match &entry.origin {
            Origin::DeadLetter(letter) => letter.name() == name,
            Origin::Journal(_) => false,
        })
    }

    /// The first entry that is not durable and not refused.
    pub(crate) fn first_open(&self, durable: u64) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| !entry.refused && entry.seq > durable)
    }

    /// Notes that a batch is stored as a dead letter.
    pub(crate) fn set_refused(&mut self, seq: u64) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.seq == seq) {
            entry.refused = true;
        }
    }

    /// Removes and returns the first entry if it is durable or refused.
    pub(crate) fn pop_settled(&mut self, durable: u64) -> Option<Entry> {
        let front = self.entries.front()?;
        if front.seq > durable && !front.refused {
            return None;
        }
        let entry = self.entries.pop_front()?;
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        Some(entry)
    }
}
