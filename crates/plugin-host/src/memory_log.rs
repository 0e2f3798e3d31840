//! A batch log in memory, for tests of outputs.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow_array::RecordBatch;
use callmeter_records::{Backlog, Batch, BatchId, BatchLog, BatchLogError, BatchSeq, Stream};

/// Batches and cursors in memory.
#[derive(Debug, Default)]
pub struct MemoryLog {
    inner: Mutex<Inner>,
    appended: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    batches: Vec<Batch>,
    cursors: HashMap<(String, Stream), BatchSeq>,
    failing: bool,
}

impl MemoryLog {
    /// Appends a batch and returns its place.
    pub fn append(&self, stream: Stream, records: RecordBatch) -> BatchSeq {
        let mut inner = self.lock();
        let seq = BatchSeq(inner.batches.len() as u64 + 1);
        inner.batches.push(Batch {
            seq,
            id: BatchId::new([0xcd; 8], seq),
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

    fn working(&self) -> Result<MutexGuard<'_, Inner>, BatchLogError> {
        let inner = self.lock();
        if inner.failing {
            Err(BatchLogError("made to fail".to_owned()))
        } else {
            Ok(inner)
        }
    }
}

impl BatchLog for MemoryLog {
    fn open(&self, output: &str, stream: Stream) -> Result<BatchSeq, BatchLogError> {
        Ok(self
            .working()?
            .cursors
            .get(&(output.to_owned(), stream))
            .copied()
            .unwrap_or_default())
    }

    fn next(&self, stream: Stream, after: BatchSeq) -> Result<Option<Batch>, BatchLogError> {
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
    ) -> Result<(), BatchLogError> {
        self.working()?
            .cursors
            .insert((output.to_owned(), stream), upto);
        Ok(())
    }

    fn backlog(&self, output: &str, stream: Stream) -> Result<Backlog, BatchLogError> {
        let inner = self.working()?;
        let cursor = inner
            .cursors
            .get(&(output.to_owned(), stream))
            .copied()
            .unwrap_or_default();
        let waiting = inner
            .batches
            .iter()
            .filter(|batch| batch.stream == stream && batch.seq > cursor);
        Ok(Backlog {
            records: waiting.map(|batch| batch.records.num_rows() as u64).sum(),
            ..Backlog::default()
        })
    }

    fn wait_beyond(&self, after: BatchSeq, time: Duration, ends: &dyn Fn() -> bool) -> BatchSeq {
        let mut inner = self.lock();
        if BatchSeq(inner.batches.len() as u64) <= after && !ends() {
            let waited = self.appended.wait_timeout(inner, time);
            inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        BatchSeq(inner.batches.len() as u64)
    }

    fn wake(&self) {
        let _inner = self.lock();
        self.appended.notify_all();
    }
}
