//! Batches: their place in the journal, their id, and what an output has yet to acknowledge.

use std::fmt;

use arrow_array::RecordBatch;

use crate::stream::Stream;

/// A batch's place in the journal: 1, 2, 3, … over all streams, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchSeq(pub u64);

impl BatchSeq {
    /// The place before the first batch: the cursor of an output that has acknowledged nothing.
    pub const START: Self = Self(0);

    /// The signed number that a SQL database stores. No journal reaches 2⁶³ batches.
    pub fn to_sql(self) -> i64 {
        self.0.cast_signed()
    }

    /// Reads the number that a SQL database stored.
    pub fn from_sql(value: i64) -> Self {
        Self(value.cast_unsigned())
    }
}

impl fmt::Display for BatchSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A batch's id, which never changes: the same after a restart and in every delivery.
///
/// It is printed as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BatchId(pub [u8; 16]);

impl BatchId {
    /// The id of a batch: eight random bytes of its journal, then its [`BatchSeq`] in big-endian.
    pub fn new(journal: [u8; 8], seq: BatchSeq) -> Self {
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

/// A batch of records of one stream, as outputs get it.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Its place in the journal.
    pub seq: BatchSeq,
    /// Its id.
    pub id: BatchId,
    /// Its stream.
    pub stream: Stream,
    /// Its records. Cheap to clone.
    pub records: RecordBatch,
}

/// What an output has yet to acknowledge of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// The number of records.
    pub records: u64,
    /// When the oldest of them was read: UTC, in microseconds. `None` if there are none.
    pub oldest_observed_at: Option<i64>,
    /// Records that retention dropped before the output acknowledged them.
    pub lost: u64,
}
