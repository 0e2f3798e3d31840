//! The batches of the journal that an export reads, and the times of their records.

use callmeter_journal::{BatchSeq, Filter, Reader, StoredBatch};
use callmeter_records::{CallsView, CommonView, Stream};

use super::error::ExportError;

/// A span of time in microseconds; the end is exclusive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Window {
    pub(super) fn contains(self, micros: i64) -> bool {
        (self.from..self.to).contains(&micros)
    }
}

/// The journal's batches that match a filter.
pub(super) struct Batches {
    pub(super) reader: Reader,
    pub(super) filter: Filter,
    pub(super) after: BatchSeq,
    /// The last batch that is read. The exporter may be appending others.
    pub(super) through: BatchSeq,
}

impl Batches {
    /// Reads the same batches from the first one on.
    pub(super) fn again(&mut self) {
        self.after = BatchSeq::START;
    }
}

impl Iterator for Batches {
    type Item = callmeter_journal::Result<StoredBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self
            .reader
            .next_matching(&self.filter, self.after)
            .transpose()?;
        if let Ok(batch) = &batch {
            if batch.meta.seq > self.through {
                return None;
            }
            self.after = batch.meta.seq;
        }
        Some(batch)
    }
}

/// The time of each record: the start of a call if known, otherwise when it was read.
pub(super) fn event_times(stream: Stream, batch: &StoredBatch) -> Result<Vec<i64>, ExportError> {
    if stream == Stream::Calls {
        let view = CallsView::new(&batch.records)?;
        return Ok(view
            .rows()
            .map(|call| call.start_time().unwrap_or(call.observed_at()))
            .collect());
    }
    let view = CommonView::new(&batch.records)?;
    Ok((0..view.rows()).map(|row| view.observed_at(row)).collect())
}
