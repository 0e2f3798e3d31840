//! Numbers and ids of batches.

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use callmeter_records::Stream;

/// A batch's place in the journal: 1, 2, 3 … over all streams, without gaps.
///
/// [`BatchSeq::START`] stands before the first, as the cursor of an output that has acknowledged nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchSeq(pub u64);

impl BatchSeq {
    /// Before the first batch.
    pub const START: Self = Self(0);

    /// As SQLite stores it. The journal ends long before 2⁶³.
    pub(crate) fn to_sql(self) -> i64 {
        self.0.cast_signed()
    }

    pub(crate) fn from_sql(value: i64) -> Self {
        Self(value.cast_unsigned())
    }
}

impl fmt::Display for BatchSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An id of a batch that stays the same for ever, over restarts and repeated delivery: eight random bytes of the
/// journal, then the [`BatchSeq`] big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchId(pub [u8; 16]);

impl BatchId {
    pub(crate) fn new(journal: [u8; 8], seq: BatchSeq) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&journal);
        bytes[8..].copy_from_slice(&seq.0.to_be_bytes());
        Self(bytes)
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What stands beside a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchMeta {
    /// Its place.
    pub seq: BatchSeq,
    /// Its id.
    pub id: BatchId,
    /// Its stream.
    pub stream: Stream,
    /// The account that all of its rows belong to.
    pub account: Arc<str>,
    /// Rows.
    pub rows: u32,
    /// The `sequence` of its first row.
    pub first_sequence: i64,
    /// When its records were read: UTC, microseconds.
    pub observed_at: i64,
    /// Earliest and latest start time of its calls: UTC, microseconds. `None` without calls that have one.
    pub span: Option<(i64, i64)>,
    /// Bytes that it takes in the journal.
    pub bytes: u64,
}

/// A batch of the journal.
#[derive(Clone, Debug)]
pub struct StoredBatch {
    /// What stands beside it.
    pub meta: BatchMeta,
    /// Its records. Cheap to clone.
    pub records: RecordBatch,
}
