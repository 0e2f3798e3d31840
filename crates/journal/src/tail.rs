//! The newest batches as they were appended, so that outputs which keep up need not read and unpack them again.

use std::collections::VecDeque;

use callmeter_records::Stream;

use crate::{BatchSeq, StoredBatch};

/// Bytes, as Arrow holds them in memory, that are kept at the most: some pages of a thousand calls.
const MAX_BYTES: usize = 2 << 20;

/// Batches up to the journal's last one, without a gap.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    batches: VecDeque<StoredBatch>,
    /// What they take together.
    bytes: usize,
}

/// What the tail says of the next batch of a stream.
pub(crate) enum Next {
    Batch(Box<StoredBatch>),
    /// There is none yet.
    NotYet,
    /// It may lie before the tail: whoever asks has to read.
    Unknown,
}

impl Tail {
    /// Adds a batch that is durable, in the journal's order.
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

    /// The next batch of `stream` after `after`.
    pub(crate) fn next(&self, stream: Stream, after: BatchSeq) -> Next {
        let covers = |first: &StoredBatch| after.0 + 1 >= first.meta.seq.0;
        if !self.batches.front().is_some_and(covers) {
            return Next::Unknown;
        }
        self.batches
            .iter()
            .find(|batch| batch.meta.seq > after && batch.meta.stream == stream)
            .map_or(Next::NotYet, |batch| Next::Batch(Box::new(batch.clone())))
    }

    /// The batch of that number.
    pub(crate) fn get(&self, seq: BatchSeq) -> Option<StoredBatch> {
        let first = self.batches.front()?.meta.seq;
        let at = usize::try_from(seq.0.checked_sub(first.0)?).ok()?;
        self.batches.get(at).cloned()
    }

    /// Forgets all: what is in the journal is no longer what was appended.
    pub(crate) fn clear(&mut self) {
        self.batches.clear();
        self.bytes = 0;
    }
}
