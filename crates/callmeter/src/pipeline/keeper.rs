//! Periodic work on the journal: shows its size, stores snapshots of the totals, drops old batches.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callmeter_journal::{BatchSeq, JournalError, RetentionPolicy};
use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use crate::context::AppContext;
use crate::stop::Stop;

/// Time between two looks at the journal.
const LOOK: Duration = Duration::from_secs(2);
/// Time between two snapshots of the totals. After a crash, at most this much is counted again.
const SNAPSHOT: Duration = Duration::from_mins(5);
/// Time between two runs of retention.
const RETENTION: Duration = Duration::from_mins(10);
/// The first run of retention comes sooner, for a journal that was over its limits at the last stop.
const FIRST_RETENTION: Duration = Duration::from_secs(30);

/// Does the work until it is told to stop.
pub(super) struct Keeper {
    app: AppContext,
    policy: Arc<Mutex<RetentionPolicy>>,
    kept: BatchSeq,
}

impl Keeper {
    pub(super) fn new(app: AppContext, policy: Arc<Mutex<RetentionPolicy>>) -> Self {
        Self {
            app,
            policy,
            kept: BatchSeq::START,
        }
    }

    pub(super) async fn run(mut self, mut stop: Stop) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let started = Instant::now();
        let mut next_snapshot = started + SNAPSHOT;
        let mut next_retention = started + FIRST_RETENTION;
        while stop.unless_stopped(look.tick()).await.is_some() {
            let now = Instant::now();
            let snapshot = now >= next_snapshot;
            let retention = now >= next_retention;
            if snapshot || retention {
                next_snapshot = now + SNAPSHOT;
            }
            if retention {
                next_retention = now + RETENTION;
            }
            self = self.work(snapshot || retention, retention).await;
        }
        // So that the next start need not count again what came in until now.
        self.work(true, false).await;
    }

    /// Does what is due, on a thread that may wait for the disk.
    async fn work(mut self, snapshot: bool, retention: bool) -> Self {
        let app = self.app.clone();
        let policy = Arc::clone(&self.policy);
        let done = tokio::task::spawn_blocking(move || {
            // The snapshot first, because retention drops only what a snapshot counts.
            if snapshot {
                self.keep_totals();
            }
            if retention {
                self.drop_old();
            }
            self.look();
            self
        })
        .await;
        done.unwrap_or_else(|error| {
            warn!(%error, "the keeper of the journal panicked; it is started again");
            Self::new(app, policy)
        })
    }

    fn look(&self) {
        let journal = &self.app.journal;
        let bytes = file_bytes(journal.path());
        self.app
            .metrics
            .journal_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.app.status.change_journal(|status| {
            status.path = journal.path().display().to_string();
            status.bytes = bytes;
            status.last_batch = journal.head().0;
        });
    }

    fn keep_totals(&mut self) {
        let kept = self.kept;
        let totals = self.app.meter.inspect(|ledger| {
            let seq = BatchSeq(ledger.applied_through());
            (seq > kept).then(|| (seq, ledger.encode()))
        });
        let Some((seq, bytes)) = totals else {
            return;
        };
        match self.app.journal.store_snapshot(seq, &bytes) {
            Ok(()) => self.kept = seq,
            Err(error) => {
                warn!(error = %crate::error_chain::chain(&error), "cannot store a snapshot of the totals; the next start takes longer");
            }
        }
    }

    fn drop_old(&self) {
        let policy = self
            .policy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let now = Timestamp::now().as_microsecond();
        match self.app.journal.retain(&policy, now) {
            Ok(report) => {
                for (output, stream, records) in &report.lost {
                    warn!(
                        output,
                        stream = stream.name(),
                        records,
                        "retention dropped records that the output had not acknowledged"
                    );
                }
                if report.batches > 0 {
                    info!(
                        batches = report.batches,
                        records = report.records,
                        bytes = report.bytes,
                        "old batches dropped"
                    );
                }
                let over = policy.max_bytes.is_some_and(|max| report.bytes > max);
                if let (true, Some(hold)) = (over, &report.held_by) {
                    warn!(bytes = report.bytes, held_by = ?hold, "the journal is larger than max_bytes, but its oldest batches are still needed");
                }
                self.note_error(None);
            }
            Err(error) => {
                warn!(error = %crate::error_chain::chain(&error), "cannot drop old batches; trying again");
                self.note_error(Some(&error));
            }
        }
    }

    fn note_error(&self, error: Option<&JournalError>) {
        let error = error.map(|error| crate::error_chain::chain(error));
        self.app
            .status
            .change_journal(|status| status.error = error);
    }
}

/// The bytes of the journal's file and its write-ahead log on disk.
fn file_bytes(path: &std::path::Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    [path.as_os_str(), log.as_os_str()]
        .into_iter()
        .filter_map(|file| std::fs::metadata(file).ok())
        .map(|metadata| metadata.len())
        .sum()
}
