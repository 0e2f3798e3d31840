//! Hands batches to the plugin and repeats those that it asks for again.

use std::time::Instant;

use super::feed::Job;
use super::session::{NextStep, Session, StopReason};
use super::window::{Entry, Origin};
use crate::sink::BatchRequest;
use crate::status::OutputState;

impl Session<'_> {
    /// Hands over a batch, as often as the plugin asks for it.
    pub(super) fn offer(&mut self, job: Job) -> Result<(), StopReason> {
        let shared = &self.context.shared;
        let records = job.batch.records.num_rows() as u64;
        if let Origin::Journal(place) = job.origin
            && self.feed.first_time(job.batch.stream, place)
        {
            shared.update_stream(job.batch.stream, |status| status.received += records);
        }
        self.seq += 1;
        let mut attempt = job.attempts_before;
        loop {
            attempt = attempt.saturating_add(1);
            let request = BatchRequest {
                seq: self.seq,
                id: job.batch.id.0,
                attempt,
                stream: job.batch.stream,
                records: &job.batch.records,
            };
            let answer = shared.call("write", || self.sink.write(&request));
            let (reason, after) = match self.normalize(answer)? {
                NextStep::GoOn => {
                    shared.set_state(OutputState::Running);
                    self.accepted = self.seq;
                    self.admit(job, records, false);
                    return Ok(());
                }
                NextStep::Refuse { reason } => {
                    self.refuse(&job, attempt, &reason)?;
                    self.admit(job, records, true);
                    return Ok(());
                }
                NextStep::Retry { reason, after } => (reason, after),
            };
            shared.retried();
            shared.set_state(OutputState::Retrying);
            let failures = shared.failed(&format!(
                "attempt {attempt} to write batch {} of {}: {reason}",
                job.batch.seq, job.batch.stream
            ));
            // The batches that were accepted before need not wait for this one.
            if !self.window.is_empty() {
                self.flush(self.context.limits.flush_within)?;
            }
            if let Err(reason) = self.pause(failures, after) {
                self.seq -= 1;
                self.feed.put_back(job);
                return Err(reason);
            }
        }
    }

    /// Adds a batch that was accepted or refused to the window.
    fn admit(&mut self, job: Job, records: u64, refused: bool) {
        let stream = job.batch.stream;
        if let Origin::Journal(place) = job.origin {
            self.feed.handed(stream, place);
        }
        self.window.push(Entry {
            seq: self.seq,
            stream,
            origin: job.origin,
            records,
            bytes: job.batch.records.get_array_memory_size(),
            refused,
            accepted_at: Instant::now(),
        });
        if refused {
            self.settle();
        }
    }
}
