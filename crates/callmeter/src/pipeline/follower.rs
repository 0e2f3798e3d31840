//! Counts what is in a journal that instances share, whichever of them appended it.
//!
//! Each instance counts all batches in the journal's order. So all of them have the same totals
//! when they have counted the same batches.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use callmeter_error_chain::chain;
use callmeter_journal::{BatchSeq, JournalError};
use callmeter_meter::{ApplyError, Limits};
use jiff::Timestamp;
use tracing::{error, info, warn};

use super::restore::stored_beyond;
use crate::context::AppContext;
use crate::status::Followed;

/// How often the journal is asked for batches if nothing is heard of one. It then also shows that
/// it can be reached.
const ASK: Duration = Duration::from_secs(1);

/// The thread that counts.
#[derive(Debug)]
pub(super) struct Follower {
    stopped: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Why the totals do not follow the journal.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("batch {batch} cannot be counted")]
    Apply { batch: BatchSeq, source: ApplyError },
}

impl Follower {
    /// Counts from the last batch in the totals on.
    pub(super) fn start(app: &AppContext, limits: Limits) -> std::io::Result<Self> {
        let counting = Counting::new(app.clone(), limits);
        let stopped = Arc::clone(&counting.stopped);
        let thread = std::thread::Builder::new()
            .name("totals-follower".to_owned())
            .spawn(move || counting.run())?;
        Ok(Self { stopped, thread })
    }

    /// Ends after the batch that is counted.
    pub(super) async fn stop(self) {
        self.stopped.store(true, Ordering::Relaxed);
        // A panic in the thread was logged.
        let _ended = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

struct Counting {
    app: AppContext,
    limits: Limits,
    stopped: Arc<AtomicBool>,
    /// When all batches were counted; the start, before that.
    complete: Cell<Instant>,
    followed: Cell<Option<Timestamp>>,
    /// When the status was last reported.
    reported: Cell<Instant>,
}

impl Counting {
    fn new(app: AppContext, limits: Limits) -> Self {
        Self {
            app,
            limits,
            stopped: Arc::new(AtomicBool::new(false)),
            complete: Cell::new(Instant::now()),
            followed: Cell::new(None),
            reported: Cell::new(Instant::now()),
        }
    }

    fn run(self) {
        let mut after = self.counted();
        let mut failure = None;
        while !self.stopped.load(Ordering::Relaxed) {
            match self.catch_up(&mut after) {
                Ok(()) => {
                    self.complete.set(Instant::now());
                    self.followed.set(Some(Timestamp::now()));
                    if failure.take().is_some() {
                        info!(batch = after.0, "the totals follow the journal again");
                    }
                }
                Err(error) => {
                    let text = chain(&error);
                    if failure.as_ref() != Some(&text) {
                        match error {
                            FollowError::Journal(_) => {
                                warn!(error = text, "the totals do not follow the journal");
                            }
                            FollowError::Apply { .. } => {
                                error!(error = text, "the totals do not follow the journal");
                            }
                        }
                    }
                    failure = Some(text);
                    // What is heard of another instance's batch does not make this one succeed.
                    std::thread::sleep(ASK);
                }
            }
            self.report(after, failure.as_deref());
            self.app.journal.wait_beyond(after, ASK, || false);
        }
    }

    fn counted(&self) -> BatchSeq {
        let through = self
            .app
            .meter
            .inspect(callmeter_meter::Ledger::applied_through);
        BatchSeq(through)
    }

    /// Counts all batches after `after`, which becomes the last one.
    fn catch_up(&self, after: &mut BatchSeq) -> Result<(), FollowError> {
        let app = &self.app;
        while let Some(batch) = app.journal.next_of_any(*after)? {
            let seq = batch.meta.seq;
            if seq.0 > after.0 + 1 && self.take_stored(after)? {
                continue;
            }
            app.meter
                .update(|ledger| {
                    ledger.skip_before(seq.0);
                    ledger.apply(seq.0, batch.meta.stream, &batch.records)
                })
                .map_err(|source| FollowError::Apply { batch: seq, source })?;
            *after = seq;
            if self.reported.get().elapsed() >= ASK {
                self.report(seq, None);
            }
            if self.stopped.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
        if app.journal.head() > *after {
            // Everything after it was deleted.
            self.take_stored(after)?;
        }
        Ok(())
    }

    /// Takes the stored totals over if they have counted more: another instance's retention has
    /// deleted batches that this one has not counted, such as while it was suspended.
    fn take_stored(&self, after: &mut BatchSeq) -> Result<bool, FollowError> {
        let Some(mut totals) = stored_beyond(&self.app.journal, *after, self.limits)? else {
            return Ok(false);
        };
        totals.set_limits(self.limits);
        let before = *after;
        *after = BatchSeq(totals.applied_through());
        self.app.meter.update(|ledger| ledger.take_totals(totals));
        info!(
            after = before.0,
            through = after.0,
            "batches were removed before they were counted here; took the stored totals over"
        );
        Ok(true)
    }

    /// Reports how far the totals are. Called often also while there is much to count.
    fn report(&self, after: BatchSeq, failure: Option<&str>) {
        self.reported.set(Instant::now());
        let status = &self.app.status;
        let followed = Followed {
            lag_batches: self.app.journal.head().0.saturating_sub(after.0),
            complete_at: self.followed.get(),
        };
        status.set_followed(followed, self.complete.get());
        status.change_journal(|journal| journal.not_followed = failure.map(str::to_owned));
    }
}

#[cfg(test)]
mod tests;
