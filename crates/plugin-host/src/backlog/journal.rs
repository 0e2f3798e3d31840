//! The journal as a backlog.

use std::time::Duration;

use callmeter_journal::{BatchSeq, Journal, JournalError, Start};
use callmeter_records::Stream;

use super::{Backlog, BacklogError, Batch, Owed};

impl From<JournalError> for BacklogError {
    fn from(error: JournalError) -> Self {
        Self(error.to_string())
    }
}

impl Backlog for Journal {
    fn open(&self, output: &str, stream: Stream) -> Result<BatchSeq, BacklogError> {
        Ok(self.register_output(output, stream, Start::Oldest)?.batch)
    }

    fn next(&self, stream: Stream, after: BatchSeq) -> Result<Option<Batch>, BacklogError> {
        let stored = self.next_batch(stream, after)?;
        Ok(stored.map(|stored| Batch {
            seq: stored.meta.seq,
            id: stored.meta.id,
            stream: stored.meta.stream,
            records: stored.records,
        }))
    }

    fn acknowledge(
        &self,
        output: &str,
        stream: Stream,
        upto: BatchSeq,
    ) -> Result<(), BacklogError> {
        Ok(Self::acknowledge(self, output, stream, upto)?)
    }

    fn owed(&self, output: &str, stream: Stream) -> Result<Owed, BacklogError> {
        let backlog = self.backlog(output, stream)?;
        Ok(Owed {
            records: backlog.records,
            oldest: backlog.oldest_observed_at,
            lost: backlog.lost,
        })
    }

    fn wait_beyond(&self, after: BatchSeq, time: Duration) -> BatchSeq {
        Self::wait_beyond(self, after, time)
    }
}
