//! Reads known calls back from the log: to compare ids that share a hash, and for revisions.

use std::collections::HashMap;

use callmeter_records::calls::CallRow;
use callmeter_records::{BatchSeq, CallsView, Stream};

use crate::error::{JournalError, Result};
use crate::log::keys::RowAddress;
use crate::log::reader::oldest_batch;
use crate::log::shared::SharedLog;
use crate::stored_batch::StoredBatch;

/// Batches that are kept for the next call of the same page.
const CACHED: usize = 16;

/// Reads stored calls; keeps some batches, because revisions of a page are often in the same ones.
pub(crate) struct StoredCalls<'p> {
    log: &'p SharedLog,
    cache: HashMap<BatchSeq, StoredBatch>,
}

impl<'p> StoredCalls<'p> {
    pub(crate) fn new(log: &'p SharedLog) -> Self {
        Self {
            log,
            cache: HashMap::new(),
        }
    }

    /// Runs `read` on the stored call at `address`. A missing row is damage.
    pub(crate) fn read<T>(
        &mut self,
        address: RowAddress,
        read: impl FnOnce(&CallRow<'_, '_>) -> T,
    ) -> Result<T> {
        let seq = BatchSeq(address.batch.into());
        if !self.cache.contains_key(&seq) {
            let stored = match self.log.batch(seq)? {
                Some(stored) => stored,
                None if self.is_removed(seq)? => return Err(self.removed(seq)),
                None => return Err(self.missing(address)),
            };
            if self.cache.len() >= CACHED {
                self.cache.clear();
            }
            self.cache.insert(seq, stored);
        }
        let stored = self.cache.get(&seq).ok_or_else(|| self.missing(address))?;
        let view = CallsView::new(&stored.records).map_err(|source| JournalError::View {
            seq,
            stream: Stream::Calls,
            source,
        })?;
        match view.row(usize::from(address.row)) {
            Some(row) => Ok(read(&row)),
            None => Err(self.missing(address)),
        }
    }

    /// Whether retention has removed the batch since the keys were read.
    fn is_removed(&self, seq: BatchSeq) -> Result<bool> {
        let first = self.log.with_reader(|reader| {
            oldest_batch(&reader.conn).map_err(|source| reader.sql(source))
        })?;
        Ok(first.is_none_or(|(first, _)| seq < first))
    }

    fn removed(&self, seq: BatchSeq) -> JournalError {
        JournalError::Removed {
            journal: self.log.location().clone(),
            seq,
        }
    }

    fn missing(&self, address: RowAddress) -> JournalError {
        JournalError::corrupt(
            self.log.location(),
            format!(
                "row {} of batch {} is missing, but the journal's keys refer to it",
                address.row, address.batch
            ),
        )
    }
}
