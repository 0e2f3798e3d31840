//! What has to be done for the journal from time to time: show how it and the outputs stand, keep
//! the totals, drop what is old.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callmeter_journal::{BatchSeq, JournalError, RetentionPolicy};
use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use super::output_metrics::OutputMetrics;
use crate::context::AppContext;
use crate::stop::Stop;

/// Time between two looks at the outputs.
const LOOK: Duration = Duration::from_secs(2);
/// Time between two snapshots of the totals. A start after a crash counts at most this much again.
const SNAPSHOT: Duration = Duration::from_mins(5);
/// Time between two runs of retention.
const RETENTION: Duration = Duration::from_mins(10);
/// The first run of retention comes sooner, for journals that were over their bounds when it ended.
const FIRST_RETENTION: Duration = Duration::from_secs(30);

/// Does it until told to stop.
pub(super) struct Keeper {
    app: AppContext,
    policy: Arc<Mutex<RetentionPolicy>>,
    outputs: Arc<OutputMetrics>,
    kept: BatchSeq,
}

impl Keeper {
    pub(super) fn new(
        app: AppContext,
        policy: Arc<Mutex<RetentionPolicy>>,
        outputs: Arc<OutputMetrics>,
    ) -> Self {
        Self {
            app,
            policy,
            outputs,
            kept: BatchSeq::START,
        }
    }

    pub(super) async fn run(mut self, mut stop: Stop) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let begun = Instant::now();
        let mut next_snapshot = begun + SNAPSHOT;
        let mut next_retention = begun + FIRST_RETENTION;
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
        // The last word: what came in until now need not be counted again.
        self.work(true, false).await;
    }

    /// Does what is due on a thread that may wait for the disk.
    async fn work(mut self, snapshot: bool, retention: bool) -> Self {
        let app = self.app.clone();
        let policy = Arc::clone(&self.policy);
        let outputs = Arc::clone(&self.outputs);
        let done = tokio::task::spawn_blocking(move || {
            // A snapshot first: retention drops only what one counts.
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
            warn!(%error, "the journal's keeper broke and starts anew");
            Self::new(app, policy, outputs)
        })
    }

    fn look(&mut self) {
        self.outputs.show(&self.app);
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
                warn!(error = %crate::error_chain::chain(&error), "totals not kept; the next start counts more again");
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
                    self.app
                        .metrics
                        .output_dropped
                        .with_label_values(&[output.as_str(), stream.name(), "retention"])
                        .inc_by(*records);
                }
                for (stream, records) in &report.records_by_stream {
                    self.app
                        .metrics
                        .journal_pruned
                        .with_label_values(&[stream.name()])
                        .inc_by(*records);
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
                    warn!(bytes = report.bytes, held_by = ?hold, "the journal is larger than max_bytes, and what is oldest is still needed");
                }
                self.note_error(None);
            }
            Err(error) => {
                warn!(error = %crate::error_chain::chain(&error), "old batches not dropped; trying again");
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

/// Bytes of the journal's file and its write-ahead log on disk.
fn file_bytes(path: &std::path::Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    [path.as_os_str(), log.as_os_str()]
        .into_iter()
        .filter_map(|file| std::fs::metadata(file).ok())
        .map(|metadata| metadata.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use callmeter_journal::{Journal, Options};
    use callmeter_meter::{Ledger, Limits, Meter};
    use callmeter_plugin_host::Outputs;
    use callmeter_records::{Billing, Stream};

    use super::*;
    use crate::secret_redactor::SecretRedactor;
    use crate::selfmetrics::SelfMetrics;
    use crate::status::StatusStore;

    #[test]
    fn retention_counts_the_records_that_it_drops() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path().join("journal.db"), &Options::default()).unwrap();
        let billing = Billing::default();
        journal.record_billing("pbx", 1, &billing).unwrap();
        journal.store_snapshot(journal.head(), b"counted").unwrap();
        let app = AppContext {
            meter: Arc::new(Meter::new(Ledger::new(Limits::default()))),
            outputs: Arc::new(Outputs::new(Arc::new(journal.clone())).unwrap()),
            metrics: SelfMetrics::new().unwrap(),
            status: Arc::new(StatusStore::new(Path::new("callmeter.yml"))),
            redactor: Arc::new(SecretRedactor::new()),
            journal,
        };
        let policy = RetentionPolicy {
            keep: Some(Duration::ZERO),
            ..RetentionPolicy::default()
        };
        let pruned = app
            .metrics
            .journal_pruned
            .with_label_values(&[Stream::Billing.name()]);
        Keeper::new(app.clone(), Arc::new(Mutex::new(policy)), Arc::default()).drop_old();
        assert_eq!(pruned.get(), 1);
    }
}
