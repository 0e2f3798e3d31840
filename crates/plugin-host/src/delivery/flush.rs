//! Flushes: what the plugin made durable leaves the window, and the cursors move.

use std::time::{Duration, Instant};

use callmeter_records::{BatchSeq, Stream};

use super::session::{NextStep, Session, StopReason};
use super::window::Origin;
use crate::status::OutputState;

/// A flush that is to be tried again.
pub(super) struct FlushLater {
    /// Failures in a row.
    failures: u32,
    /// How long the plugin asks to wait.
    after: Option<Duration>,
}

impl Session<'_> {
    /// Flushes, then waits if the plugin is not done.
    pub(super) fn flush_or_wait(&mut self) -> Result<(), StopReason> {
        let before = self.window.len();
        if let Some(later) = self.flush(self.context.limits.flush_within)? {
            return self.pause(later.failures, later.after);
        }
        let shared = &self.context.shared;
        if self.window.len() == before && !self.window.is_empty() {
            let failures = shared.failed("flush says OK, but nothing became durable");
            return self.pause(failures, None);
        }
        shared.set_state(OutputState::Running);
        Ok(())
    }

    /// Flushes and settles what is durable.
    pub(super) fn flush(&mut self, within: Duration) -> Result<Option<FlushLater>, StopReason> {
        let shared = &self.context.shared;
        let (answer, durable) = shared.call("flush", || self.sink.flush(within));
        // No more than was accepted can be durable, and what was durable stays durable.
        self.durable = self.durable.max(durable.min(self.accepted));
        self.settle();
        let (reason, after) = match self.normalize(answer)? {
            NextStep::GoOn => return Ok(None),
            NextStep::Retry { reason, after } => (reason, after),
            NextStep::Refuse { reason } => {
                self.refuse_accepted(&reason)?;
                self.settle();
                return Ok(None);
            }
        };
        shared.retried();
        shared.set_state(OutputState::Retrying);
        let failures = shared.failed(&format!("flush: {reason}"));
        Ok(Some(FlushLater { failures, after }))
    }

    /// Takes what is durable or refused out of the window, and moves the cursors.
    pub(super) fn settle(&mut self) {
        let context = self.context;
        let shared = &context.shared;
        let mut cursors: Vec<(Stream, BatchSeq)> = Vec::new();
        let mut progress = false;
        while let Some(entry) = self.window.pop_settled(self.durable) {
            progress = true;
            shared.update_stream(entry.stream, |status| {
                if entry.refused {
                    status.dropped += entry.records;
                } else {
                    status.delivered += entry.records;
                }
            });
            match entry.origin {
                Origin::Journal(place) => {
                    cursors.retain(|(stream, _)| *stream != entry.stream);
                    cursors.push((entry.stream, place));
                }
                // One that was refused again has already been moved back to the dead letters.
                Origin::DeadLetter(letter) if !entry.refused => {
                    if let Err(error) = context.dead_letters.delivered(&letter) {
                        shared.failed(&error.to_string());
                    }
                }
                Origin::DeadLetter(_) => {}
            }
        }
        if !progress {
            return;
        }
        shared.progressed();
        for (stream, place) in cursors {
            self.feed.acknowledged(stream, place);
            if let Err(error) = context.batches.acknowledge(&context.output, stream, place) {
                // The next batch moves the cursor past this one too. A restart before that sends
                // these batches again.
                shared.failed(&error.to_string());
            }
        }
        context.update_backlog();
    }

    /// Flushes for the last time, in what is left of the time to stop.
    pub(super) fn flush_at_stop(&mut self) {
        let context = self.context;
        while !self.window.is_empty() {
            let by = context.shared.stop_by().unwrap_or_else(Instant::now);
            let left = by.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!(
                    output = context.output,
                    batches = self.window.len(),
                    "the output stopped before everything was durable; the rest is sent again at the next start"
                );
                return;
            }
            match self.flush(left) {
                Ok(None) if self.window.is_empty() => return,
                Ok(_) => std::thread::sleep(context.limits.retry_least.min(left / 4)),
                Err(StopReason::Fatal(reason)) => {
                    context
                        .shared
                        .failed(&format!("the last flush failed: {reason}"));
                    return;
                }
                Err(StopReason::Stopped) => return,
            }
        }
    }
}
