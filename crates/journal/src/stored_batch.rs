//! A batch as the journal stores it, with its account and times.

use std::sync::Arc;

use arrow_array::RecordBatch;
use callmeter_records::{Batch, BatchId, BatchSeq, Stream};

/// The metadata of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchMeta {
    /// Its place in the journal.
    pub seq: BatchSeq,
    /// Its id.
    pub id: BatchId,
    /// Its stream.
    pub stream: Stream,
    /// The account that all of its rows belong to.
    pub account: Arc<str>,
    /// The number of rows.
    pub rows: u32,
    /// The `sequence` of its first row.
    pub first_sequence: i64,
    /// When its records were read: UTC, in microseconds.
    pub observed_at: i64,
    /// The earliest and latest start time of its calls: UTC, in microseconds. `None` if no call has
    /// one.
    pub span: Option<(i64, i64)>,
    /// The bytes that it takes in the journal.
    pub bytes: u64,
}

/// A batch of the journal.
#[derive(Clone, Debug)]
pub struct StoredBatch {
    /// Its metadata.
    pub meta: BatchMeta,
    /// Its records. Cheap to clone.
    pub records: RecordBatch,
}

impl From<StoredBatch> for Batch {
    fn from(StoredBatch { meta, records }: StoredBatch) -> Self {
        Self {
            seq: meta.seq,
            id: meta.id,
            stream: meta.stream,
            records,
        }
    }
}
