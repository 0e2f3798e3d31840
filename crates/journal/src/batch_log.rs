//! The journal as a batch log.

use std::time::Duration;

use callmeter_records::{Backlog, Batch, BatchLog, BatchLogError, BatchSeq, Stream};

use crate::error::JournalError;
use crate::journal::Journal;

impl From<JournalError> for BatchLogError {
    fn from(error: JournalError) -> Self {
        Self(error.to_string())
    }
}

impl BatchLog for Journal {
    fn open(&self, output: &str, stream: Stream) -> Result<BatchSeq, BatchLogError> {
        let cursor = self.cursor(output, stream)?;
        let cursor = cursor.ok_or_else(|| JournalError::UnknownOutput {
            output: output.to_owned(),
            stream,
        })?;
        Ok(cursor.batch)
    }

    fn next(&self, stream: Stream, after: BatchSeq) -> Result<Option<Batch>, BatchLogError> {
        Ok(self.next_batch(stream, after)?.map(Batch::from))
    }

    fn acknowledge(
        &self,
        output: &str,
        stream: Stream,
        upto: BatchSeq,
    ) -> Result<(), BatchLogError> {
        Ok(Self::acknowledge(self, output, stream, upto)?)
    }

    fn backlog(&self, output: &str, stream: Stream) -> Result<Backlog, BatchLogError> {
        Ok(Self::backlog(self, output, stream)?)
    }

    fn wait_beyond(&self, after: BatchSeq, time: Duration, ends: &dyn Fn() -> bool) -> BatchSeq {
        Self::wait_beyond(self, after, time, ends)
    }

    fn wake(&self) {
        Self::wake(self);
    }
}
