//! Stores batches that the plugin refused as dead letters.

use callmeter_records::BatchSeq;

use super::feed::Job;
use super::session::{Session, StopReason};
use super::window::Origin;
use crate::dead_letters::{self, DeadLetter};

impl Session<'_> {
    /// Stores a refused batch as a dead letter. Tries until it succeeds, because a batch must not
    /// be dropped before it is stored.
    pub(super) fn refuse(
        &mut self,
        job: &Job,
        attempts: u32,
        reason: &str,
    ) -> Result<(), StopReason> {
        let context = self.context;
        let reason = context.shared.scrub(reason);
        let letter = DeadLetter {
            output: context.output.clone(),
            plugin: self.plugin.clone(),
            stream: job.batch.stream.name().to_owned(),
            place: job.batch.seq.0,
            id: job.batch.id.to_string(),
            records: job.batch.records.num_rows() as u64,
            reason: reason.clone(),
            refused_at: dead_letters::now(),
            attempts,
        };
        loop {
            let stored = match job.origin {
                Origin::Journal(_) => context.dead_letters.put(&letter, &job.batch.records),
                Origin::DeadLetter(_) => context.dead_letters.refused_again(&letter),
            };
            let Err(error) = stored else { break };
            let failures = context.shared.failed(&format!(
                "cannot store a refused batch as a dead letter: {error}"
            ));
            self.pause(failures, None)?;
        }
        tracing::error!(
            output = context.output,
            batch = letter.name(),
            records = letter.records,
            "the plugin refused a batch, which is now a dead letter: {reason}"
        );
        Ok(())
    }

    /// Refuses the first batch that is not durable, because a flush refused it. The batch is read
    /// again to be stored.
    ///
    /// The plugin has dropped the batch. If it cannot be stored, the instance must not flush again,
    /// because that would settle the batch: the next instance gets it again.
    pub(super) fn refuse_accepted(&mut self, reason: &str) -> Result<(), StopReason> {
        let Some(entry) = self.window.first_open(self.durable) else {
            return Err(StopReason::Fatal(format!(
                "flush refuses a batch, but all are durable: {reason}"
            )));
        };
        let (stream, origin) = (entry.stream, entry.origin.clone());
        let seq = entry.seq;
        let (batch, attempts_before) = match &origin {
            Origin::Journal(place) => {
                let before = BatchSeq(place.0.saturating_sub(1));
                match self.context.batches.next(stream, before) {
                    Ok(Some(batch)) if batch.seq == *place => (batch, 0),
                    Ok(_) => {
                        let reason = format!("batch {place} is gone: {reason}");
                        return Err(StopReason::Fatal(reason));
                    }
                    // The next instance gets everything again, and its plugin refuses it again.
                    Err(error) => return Err(StopReason::Fatal(error.to_string())),
                }
            }
            Origin::DeadLetter(letter) => match self.context.dead_letters.open_replay(letter) {
                Ok(batch) => (batch, letter.attempts),
                Err(error) => return Err(StopReason::Fatal(error.to_string())),
            },
        };
        let job = Job {
            batch,
            origin,
            attempts_before,
        };
        match self.refuse(&job, attempts_before.saturating_add(1), reason) {
            Ok(()) => {}
            Err(StopReason::Stopped) => {
                return Err(StopReason::Fatal(
                    "callmeter stops before a refused batch could be stored as a dead letter; \
                     the next start sends it again"
                        .to_owned(),
                ));
            }
            Err(fatal) => return Err(fatal),
        }
        self.window.set_refused(seq);
        Ok(())
    }
}
