//! The log of batches that outputs read from.

use std::time::Duration;

use crate::{Backlog, Batch, BatchSeq, Stream};

/// A log of batches with one durable cursor for each output and stream.
///
/// The journal implements it; the plugin host reads from it.
pub trait BatchLog: Send + Sync + 'static {
    /// Returns the output's cursor: the last batch of the stream that it acknowledged.
    fn open(&self, output: &str, stream: Stream) -> Result<BatchSeq, BatchLogError>;

    /// Returns the first batch of the stream after `after`, if there is one.
    fn next(&self, stream: Stream, after: BatchSeq) -> Result<Option<Batch>, BatchLogError>;

    /// Moves the output's cursor to `upto`. It is never called with an earlier batch than before.
    fn acknowledge(
        &self,
        output: &str,
        stream: Stream,
        upto: BatchSeq,
    ) -> Result<(), BatchLogError>;

    /// Returns what the output has yet to acknowledge of the stream.
    fn backlog(&self, output: &str, stream: Stream) -> Result<Backlog, BatchLogError>;

    /// Waits until there is a batch of any stream after `after` or `ends` says true, for at most
    /// `time`. Returns the last batch of the log.
    fn wait_beyond(&self, after: BatchSeq, time: Duration, ends: &dyn Fn() -> bool) -> BatchSeq;

    /// Lets those who wait look whether their wait ends.
    fn wake(&self);
}

/// The log cannot be read, or a cursor cannot be moved. The output tries again later.
#[derive(Debug, thiserror::Error)]
#[error("the journal failed: {0}")]
pub struct BatchLogError(pub String);
