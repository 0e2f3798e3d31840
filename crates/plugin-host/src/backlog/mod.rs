//! Where outputs get their batches from, and where their cursors are kept.

#[cfg(feature = "journal")]
mod journal;
mod memory;

use std::fmt;
use std::time::Duration;

use arrow_array::RecordBatch;
use callmeter_records::Stream;

pub use memory::MemoryBacklog;

/// A batch's place in the log, over all streams: 1, 2, 3, …
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchSeq(pub u64);

impl BatchSeq {
    /// In front of the first batch.
    pub const START: Self = Self(0);
}

impl fmt::Display for BatchSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A batch's id: the same for ever. Printed as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BatchId(pub [u8; 16]);

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A log of batches with one durable cursor per output and stream. Implemented by the journal, and
/// by [`MemoryBacklog`] for tests.
pub trait Backlog: Send + Sync + 'static {
    /// The output's cursor: the last batch of the stream that it acknowledged. A new output gets a
    /// cursor in front of the oldest batch that is still there.
    fn open(&self, output: &str, stream: Stream) -> Result<BatchSeq, BacklogError>;

    /// The first batch of the stream behind `after`, if there is one yet.
    fn next(&self, stream: Stream, after: BatchSeq) -> Result<Option<Batch>, BacklogError>;

    /// Moves the output's cursor. Never called with an earlier batch than before.
    fn acknowledge(&self, output: &str, stream: Stream, upto: BatchSeq)
    -> Result<(), BacklogError>;

    /// What the output has not acknowledged.
    fn owed(&self, output: &str, stream: Stream) -> Result<Owed, BacklogError>;

    /// Waits until there is a batch of any stream behind `after`, at the longest for `time`. Gives
    /// the last batch there is.
    fn wait_beyond(&self, after: BatchSeq, time: Duration) -> BatchSeq;
}

/// A batch of the log.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Its place in the log, over all streams.
    pub seq: BatchSeq,
    /// The same for ever.
    pub id: BatchId,
    /// Its stream.
    pub stream: Stream,
    /// Its records.
    pub records: RecordBatch,
}

/// Records that are not acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owed {
    /// How many.
    pub records: u64,
    /// When the first of them was observed, in microseconds since 1970, UTC.
    pub oldest: Option<i64>,
    /// Records that were dropped before the output had them, because the journal was full or old.
    pub lost: u64,
}

/// The log cannot be read, or the cursor not be moved. It is tried again later.
#[derive(Debug, thiserror::Error)]
#[error("the journal failed: {0}")]
pub struct BacklogError(pub String);
