//! The journal as a backlog.

use std::time::Duration;

use callmeter_journal as journal;
use callmeter_journal::{Journal, JournalError, Start};
use callmeter_records::Stream;

use super::{Backlog, BacklogError, Batch, BatchId, BatchSeq, Owed};

impl From<JournalError> for BacklogError {
    fn from(error: JournalError) -> Self {
        Self(error.to_string())
    }
}

impl Backlog for Journal {
    fn open(&self, output: &str, stream: Stream) -> Result<BatchSeq, BacklogError> {
        let cursor = self.register_output(output, stream, Start::Oldest)?;
        Ok(BatchSeq(cursor.batch.0))
    }

    fn next(&self, stream: Stream, after: BatchSeq) -> Result<Option<Batch>, BacklogError> {
        let stored = self.next_batch(stream, journal::BatchSeq(after.0))?;
        Ok(stored.map(|stored| Batch {
            seq: BatchSeq(stored.meta.seq.0),
            id: BatchId(stored.meta.id.0),
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
        Ok(Self::acknowledge(
            self,
            output,
            stream,
            journal::BatchSeq(upto.0),
        )?)
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
        BatchSeq(Self::wait_beyond(self, journal::BatchSeq(after.0), time).0)
    }
}
