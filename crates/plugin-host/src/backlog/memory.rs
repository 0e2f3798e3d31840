//! A backlog in memory, for tests of outputs.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow_array::RecordBatch;
use callmeter_records::Stream;

use super::{Backlog, BacklogError, Batch, BatchId, BatchSeq, Owed};

/// Batches and cursors in memory.
#[derive(Debug, Default)]
pub struct MemoryBacklog {
    inner: Mutex<Inner>,
    appended: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    batches: Vec<Batch>,
    cursors: HashMap<(String, Stream), BatchSeq>,
    failing: bool,
}

impl MemoryBacklog {
    /// Appends a batch and returns its place.
    pub fn append(&self, stream: Stream, records: RecordBatch) -> BatchSeq {
        let mut inner = self.lock();
        let seq = BatchSeq(inner.batches.len() as u64 + 1);
        let mut id = [0xcd; 16];
        id[8..].copy_from_slice(&seq.0.to_be_bytes());
        inner.batches.push(Batch {
            seq,
            id: BatchId(id),
            stream,
            records,
        });
        self.appended.notify_all();
        seq
    }

    /// Whether every batch of the stream is acknowledged.
    pub fn settled(&self, output: &str, stream: Stream) -> bool {
        let inner = self.lock();
        let last = inner
            .batches
            .iter()
            .rev()
            .find(|batch| batch.stream == stream);
        let cursor = inner.cursors.get(&(output.to_owned(), stream));
        last.is_none_or(|last| cursor.is_some_and(|cursor| *cursor >= last.seq))
    }

    /// Makes every operation fail, or work again.
    pub fn set_failing(&self, failing: bool) {
        self.lock().failing = failing;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn working(&self) -> Result<MutexGuard<'_, Inner>, BacklogError> {
        let inner = self.lock();
        if inner.failing {
            Err(BacklogError("made to fail".to_owned()))
        } else {
            Ok(inner)
        }
    }
}

impl Backlog for MemoryBacklog {
    fn open(&self, output: &str, stream: Stream) -> Result<BatchSeq, BacklogError> {
        Ok(self
            .working()?
            .cursors
            .get(&(output.to_owned(), stream))
            .copied()
            .unwrap_or_default())
    }

    fn next(&self, stream: Stream, after: BatchSeq) -> Result<Option<Batch>, BacklogError> {
        let inner = self.working()?;
        Ok(inner
            .batches
            .iter()
            .find(|batch| batch.stream == stream && batch.seq > after)
            .cloned())
    }

    fn acknowledge(
        &self,
        output: &str,
        stream: Stream,
        upto: BatchSeq,
    ) -> Result<(), BacklogError> {
        self.working()?
            .cursors
            .insert((output.to_owned(), stream), upto);
        Ok(())
    }

    fn owed(&self, output: &str, stream: Stream) -> Result<Owed, BacklogError> {
        let inner = self.working()?;
        let cursor = inner
            .cursors
            .get(&(output.to_owned(), stream))
            .copied()
            .unwrap_or_default();
        let owed = inner
            .batches
            .iter()
            .filter(|batch| batch.stream == stream && batch.seq > cursor);
        let records = owed.map(|batch| batch.records.num_rows() as u64).sum();
        Ok(Owed {
            records,
            ..Owed::default()
        })
    }

    fn wait_beyond(&self, after: BatchSeq, time: Duration) -> BatchSeq {
        let mut inner = self.lock();
        if BatchSeq(inner.batches.len() as u64) <= after {
            let waited = self.appended.wait_timeout(inner, time);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        BatchSeq(inner.batches.len() as u64)
    }
}
