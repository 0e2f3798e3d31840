//! The newest batches in memory: outputs that keep up do not read and unpack them again.

use std::collections::VecDeque;

use callmeter_records::{BatchSeq, Stream};

use crate::stored_batch::StoredBatch;

/// The most bytes of Arrow arrays that are kept: some pages of a thousand calls.
const MAX_BYTES: usize = 2 << 20;

/// The last batches of the journal, without gaps.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    batches: VecDeque<StoredBatch>,
    /// The size of all of them.
    bytes: usize,
}

/// The next batch of a stream, as far as the tail knows it.
pub(crate) enum Next {
    Batch(Box<StoredBatch>),
    /// The stream has no further batch.
    NotYet,
    /// It may be older than the tail: read it from the file.
    Unknown,
}

impl Tail {
    /// Adds a durable batch. Batches are added in order.
    pub(crate) fn push(&mut self, batch: StoredBatch) {
        let follows = |last: &StoredBatch| last.meta.seq.0 + 1 == batch.meta.seq.0;
        if !self.batches.back().is_none_or(follows) {
            self.clear();
        }
        self.bytes += batch.records.get_array_memory_size();
        self.batches.push_back(batch);
        while self.bytes > MAX_BYTES
            && let Some(oldest) = self.batches.pop_front()
        {
            self.bytes -= oldest.records.get_array_memory_size();
        }
    }

    /// The next batch of `stream` after `after`. `head` is the last batch of the journal: another
    /// instance may have appended what is not here.
    pub(crate) fn next(&self, stream: Stream, after: BatchSeq, head: BatchSeq) -> Next {
        let covers = |first: &StoredBatch| after.0 + 1 >= first.meta.seq.0;
        if !self.batches.front().is_some_and(covers) {
            return Next::Unknown;
        }
        let found = self
            .batches
            .iter()
            .find(|batch| batch.meta.seq > after && batch.meta.stream == stream);
        match found {
            Some(batch) => Next::Batch(Box::new(batch.clone())),
            None if self
                .batches
                .back()
                .is_some_and(|last| last.meta.seq >= head) =>
            {
                Next::NotYet
            }
            None => Next::Unknown,
        }
    }

    /// The batch with this number.
    pub(crate) fn get(&self, seq: BatchSeq) -> Option<StoredBatch> {
        let first = self.batches.front()?.meta.seq;
        let at = usize::try_from(seq.0.checked_sub(first.0)?).ok()?;
        self.batches.get(at).cloned()
    }

    /// Removes all batches.
    pub(crate) fn clear(&mut self) {
        self.batches.clear();
        self.bytes = 0;
    }
}
