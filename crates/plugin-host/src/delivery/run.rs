//! The delivery loop: decides when to read, when to write, when to flush and when to wait.

use std::time::Duration;

use super::session::{Session, StopReason};

/// How long an output without work sleeps unless it is notified.
const IDLE: Duration = Duration::from_secs(5);

impl Session<'_> {
    /// Feeds the instance until it fails or the output is to stop.
    pub(super) fn run(&mut self) -> StopReason {
        loop {
            if let Err(reason) = self.step() {
                if let StopReason::Stopped = reason {
                    self.flush_at_stop();
                }
                return reason;
            }
        }
    }

    fn step(&mut self) -> Result<(), StopReason> {
        let context = self.context;
        let shared = &context.shared;
        if shared.stop_by().is_some() {
            return Err(StopReason::Stopped);
        }
        if self.must_flush() {
            return self.flush_or_wait();
        }
        let notified = shared.notified();
        let replay = self
            .feed
            .next_replay(&context.dead_letters, shared, &self.window);
        if let Some(job) = replay {
            return self.offer(job);
        }
        match self.feed.next(context.batches.as_ref()) {
            Ok(Some(job)) => return self.offer(job),
            Ok(None) => {}
            Err(error) => {
                let failures = shared.failed(&error.to_string());
                return self.pause(failures, None);
            }
        }
        if self.window.is_empty() {
            // Without a batch since then, an output that waited for nothing still does.
            if self.backlog_read_at != Some(notified) || !shared.is_caught_up() {
                self.backlog_read_at = context.update_backlog().then_some(notified);
            }
            shared.wait_for_notify(notified, IDLE);
            return Ok(());
        }
        match self.linger() {
            Some(left) => {
                shared.wait_for_notify(notified, left);
                Ok(())
            }
            None => self.flush_or_wait(),
        }
    }

    /// How much longer to wait for another batch before a flush, if at all.
    fn linger(&self) -> Option<Duration> {
        let since = self.window.newest()?.elapsed();
        let left = self.context.limits.linger.checked_sub(since)?;
        (!left.is_zero()).then_some(left)
    }

    fn must_flush(&self) -> bool {
        let limits = &self.context.limits;
        self.window.len() >= limits.unflushed_batches
            || self.window.bytes() >= limits.unflushed_bytes
            || self
                .window
                .oldest()
                .is_some_and(|oldest| oldest.elapsed() >= limits.flush_every)
    }
}
