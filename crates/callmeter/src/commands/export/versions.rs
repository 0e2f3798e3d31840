//! Which rows are the last version of their call: a call that was edited has a row for each
//! version.

use std::collections::{HashMap, HashSet};

use callmeter_records::CallsView;
use callmeter_records::calls::CallRow;

use super::batches::Batches;
use super::error::ExportError;

/// The versions that a later one replaces. Takes memory for edited calls only.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    sequences: HashSet<i64>,
    /// The last edit by account and id of the call, for edits by versions of callmeter that did not
    /// note which record they replace.
    edits: HashMap<(String, String), i64>,
}

impl Replaced {
    /// Reads all batches.
    pub(super) fn read(batches: &mut Batches) -> Result<Self, ExportError> {
        let mut replaced = Self::default();
        for batch in batches {
            for row in CallsView::new(&batch?.records)?.rows() {
                let Some(previous) = row.previous() else {
                    continue;
                };
                match (previous.sequence, row.id()) {
                    (Some(sequence), _) => {
                        replaced.sequences.insert(sequence);
                    }
                    (None, Some(id)) => {
                        let call = (row.account().to_owned(), id.to_owned());
                        replaced.edits.insert(call, row.sequence());
                    }
                    (None, None) => {}
                }
            }
        }
        Ok(replaced)
    }

    /// Whether no later version replaces the row.
    pub(super) fn is_last(&self, row: &CallRow<'_, '_>) -> bool {
        let is_edited_later = || {
            let call = (row.account().to_owned(), row.id()?.to_owned());
            self.edits.get(&call).map(|last| row.sequence() < *last)
        };
        !self.sequences.contains(&row.sequence())
            && (self.edits.is_empty() || is_edited_later() != Some(true))
    }
}
