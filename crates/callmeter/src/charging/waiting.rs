//! The calls that wait to be charged.

use std::collections::HashSet;

use callmeter_journal::{BatchSeq, Journal};
use callmeter_records::{CallsView, CanonicalId, Stream};

use super::charges::is_selected;
use super::error::ChargingError;
use crate::config::Charging;

/// The calls after a position that a rule selects. Each counts once, however often it was edited.
#[derive(Default)]
pub(super) struct WaitingCalls {
    after: BatchSeq,
    /// The last batch that was looked at.
    through: BatchSeq,
    ids: HashSet<u128>,
    /// Calls without an id.
    unnamed: u64,
}

impl WaitingCalls {
    /// Calls of the entry after batch `after`. Reads only what has come since it was last asked.
    pub(super) fn count(
        &mut self,
        journal: &Journal,
        entry: &Charging,
        after: BatchSeq,
    ) -> Result<u64, ChargingError> {
        if self.after != after {
            *self = Self {
                after,
                through: after,
                ..Self::default()
            };
        }
        while let Some(batch) = journal.next_batch(Stream::Calls, self.through)? {
            self.through = batch.meta.seq;
            if *batch.meta.account != *entry.account {
                continue;
            }
            for call in CallsView::new(&batch.records)?.rows() {
                if !entry.rules.iter().any(|rule| is_selected(&call, rule)) {
                    continue;
                }
                match call.id() {
                    Some(id) => drop(self.ids.insert(CanonicalId::new(id).wide_hash())),
                    None => self.unnamed += 1,
                }
            }
        }
        Ok(self.ids.len() as u64 + self.unnamed)
    }
}
