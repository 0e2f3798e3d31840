//! Regular work on the journal: shows its status, stores the totals, removes old
//! batches.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callmeter_journal::{BatchSeq, Hold, JOURNAL_LEASE, JournalError, RetentionPolicy};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::context::AppContext;
use crate::stop::Stop;
use callmeter_error_chain::chain;

/// The least time between two updates of status and metrics.
const UPDATE: Duration = Duration::from_secs(2);
/// The interval at which totals are stored. A start after a crash counts the batches since then.
const SNAPSHOT: Duration = Duration::from_mins(5);
/// The interval of retention.
const RETENTION: Duration = Duration::from_mins(10);
/// The first retention is sooner, for a journal that was over its limits when the program ended.
const FIRST_RETENTION: Duration = Duration::from_secs(30);

/// Does this work until it is stopped.
pub(super) struct Keeper {
    app: AppContext,
    policy: Arc<Mutex<RetentionPolicy>>,
    /// The last batch in the stored totals.
    stored: BatchSeq,
}

impl Keeper {
    pub(super) fn new(app: AppContext, policy: Arc<Mutex<RetentionPolicy>>) -> Self {
        Self {
            app,
            policy,
            stored: BatchSeq::START,
        }
    }

    pub(super) async fn run(mut self, mut stop: Stop) {
        let start = Instant::now();
        let mut next_snapshot = start + SNAPSHOT;
        let mut next_retention = start + FIRST_RETENTION;
        self = self.work(false, false).await;
        loop {
            let wait = self.wait_for_work(next_snapshot.min(next_retention));
            if stop.unless_stopped(wait).await.is_none() {
                break;
            }
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
        // So that the next start has nothing to count.
        self.work(true, false).await;
    }

    /// Waits until batches were appended or something else is due.
    async fn wait_for_work(&self, due: Instant) {
        tokio::time::sleep(UPDATE).await;
        // Others may append to a journal that is shared.
        if !self.app.journal.is_shared() {
            let appended = self.app.appended.notified();
            let _either = tokio::time::timeout_at(due, appended).await;
        }
    }

    /// Does what is due, on a thread for blocking work.
    async fn work(mut self, snapshot: bool, retention: bool) -> Self {
        let app = self.app.clone();
        let policy = Arc::clone(&self.policy);
        let done = tokio::task::spawn_blocking(move || {
            let works = self.works_on_journal();
            let (snapshot, retention) = (snapshot && works, retention && works);
            // Totals first: retention removes only batches that the stored totals contain.
            if snapshot {
                self.store_totals();
            }
            if retention {
                self.remove_old();
            }
            self.update();
            self
        })
        .await;
        done.unwrap_or_else(|error| {
            warn!(%error, "the journal's keeper failed; starting it again");
            Self::new(app, policy)
        })
    }

    /// Whether this instance stores totals and removes batches: where instances share the journal,
    /// one of them does.
    fn works_on_journal(&self) -> bool {
        let journal = &self.app.journal;
        let is_held = |held: &String| held == JOURNAL_LEASE;
        !journal.is_shared() || journal.held_leases().iter().any(is_held)
    }

    fn update(&self) {
        let journal = &self.app.journal;
        let bytes = match journal.location().file() {
            Some(file) => Some(file_bytes(file)),
            // What cannot be read stays as it was.
            None => journal.server_bytes().unwrap_or_else(|error| {
                debug!(error = %chain(&error), "cannot read the size of the journal");
                None
            }),
        };
        if let Some(bytes) = bytes {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            self.app.metrics.journal_bytes.set(bytes);
        }
        self.app.status.change_journal(|status| {
            status.path = journal.location().to_string();
            status.bytes = bytes.unwrap_or(status.bytes);
            status.last_batch = journal.head().0;
        });
    }

    fn store_totals(&mut self) {
        let stored = self.stored;
        let totals = self.app.meter.inspect(|ledger| {
            let seq = BatchSeq(ledger.applied_through());
            (seq > stored).then(|| (seq, ledger.encode()))
        });
        let Some((seq, bytes)) = totals else {
            return;
        };
        match self.app.journal.store_snapshot(seq, &bytes) {
            Ok(()) => self.stored = seq,
            Err(error) => {
                warn!(error = %chain(&error), "cannot store the totals; the next start counts more batches");
            }
        }
    }

    fn remove_old(&self) {
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
                        "retention removed records that the output had not acknowledged"
                    );
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
                        "old batches removed"
                    );
                }
                if report.held_by == Some(Hold::Clock) {
                    warn!(
                        "the clock is more than half of `keep` away from when old batches were last removed; if it is right, they are removed after it has gone on for a day, or for half of `keep` if that is shorter"
                    );
                }
                let over = policy.max_bytes.is_some_and(|max| report.bytes > max);
                if let (true, Some(hold)) = (over, &report.held_by) {
                    warn!(bytes = report.bytes, held_by = %hold, "the journal is larger than max_bytes, but its oldest records are still needed");
                }
                self.set_error(None);
            }
            Err(error) => {
                warn!(error = %chain(&error), "cannot remove old batches; trying again");
                self.set_error(Some(&error));
            }
        }
    }

    fn set_error(&self, error: Option<&JournalError>) {
        let error = error.map(|error| chain(error));
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

    use callmeter_journal::{InstanceOptions, Journal, Options};

    use callmeter_plugin_host::Outputs;
    use callmeter_records::{Billing, Stream};

    use super::*;
    use crate::pipeline::test_server::Schema;

    #[test]
    fn retention_counts_the_records_that_it_drops() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path().join("journal.db"), &Options::default()).unwrap();
        let billing = Billing::default();
        let observed_at = Timestamp::now().as_microsecond() - 1;
        journal
            .record_billing("pbx", observed_at, &billing)
            .unwrap();
        journal.store_snapshot(journal.head(), b"counted").unwrap();
        let outputs = Outputs::new(Arc::new(journal.clone())).unwrap();
        let app = AppContext::of(journal, Arc::new(outputs));
        let policy = RetentionPolicy {
            keep: Some(Duration::ZERO),
            ..RetentionPolicy::default()
        };
        let pruned = app
            .metrics
            .journal_pruned
            .with_label_values(&[Stream::Billing.name()]);
        Keeper::new(app.clone(), Arc::new(Mutex::new(policy))).remove_old();
        assert_eq!(pruned.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_appended_is_shown_soon() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path().join("journal.db"), &Options::default()).unwrap();
        let outputs = Outputs::new(Arc::new(journal.clone())).unwrap();
        let app = AppContext::of(journal.clone(), Arc::new(outputs));
        let (stop, stopped) = crate::stop::stop();
        let running = tokio::spawn(Keeper::new(app.clone(), Arc::default()).run(stopped));
        for time in 1..4 {
            let billing = Billing {
                currency: Some(["EUR", "USD"][time % 2]),
                ..Billing::default()
            };
            let observed_at = i64::try_from(time).unwrap();
            let changes = journal
                .record_billing("pbx", observed_at, &billing)
                .unwrap();
            app.count(Stream::Billing, changes.batch.as_slice())
                .unwrap();
            let head = journal.head().0;
            assert_eq!(head, u64::try_from(time).unwrap());
            let shown = async {
                while app.status.status().journal.last_batch < head {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            };
            tokio::time::timeout(UPDATE * 2, shown).await.unwrap();
        }
        stop.stop();
        running.await.unwrap();
    }

    /// Of the instances that share a journal, the one that has the lease stores the totals.
    #[test]
    fn the_instance_that_holds_the_journal_keeps_it() {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let schema = Schema::new("keeper");
        let keeper = || {
            let journal = schema.open();
            let outputs = Outputs::new(Arc::new(journal.clone())).unwrap();
            Keeper::new(AppContext::of(journal, Arc::new(outputs)), Arc::default())
        };
        let (one, two) = (keeper(), keeper());
        let wanted = [JOURNAL_LEASE.to_owned()];
        for (name, keeper) in [("one", &one), ("two", &two)] {
            let journal = &keeper.app.journal;
            journal.join(InstanceOptions::new(name));
            let holds = journal.round(&wanted).unwrap().held == wanted;
            assert_eq!(
                (holds, keeper.works_on_journal()),
                (name == "one", name == "one")
            );
            keeper
                .app
                .meter
                .update(|ledger| ledger.skip_before(if name == "one" { 2 } else { 3 }));
        }
        let journal = schema.open();
        let stored = || journal.latest_snapshot().unwrap().map(|(seq, _)| seq);
        let two = runtime.block_on(two.work(true, true));
        assert_eq!(stored(), None);
        let one = runtime.block_on(one.work(true, true));
        assert_eq!(stored(), Some(BatchSeq(1)));
        one.app.journal.leave().unwrap();
        assert!(!one.works_on_journal());
        two.app.journal.round(&wanted).unwrap();
        let two = runtime.block_on(two.work(true, false));
        assert_eq!(stored(), Some(BatchSeq(2)));
        assert_eq!(two.app.status.status().journal.error, None);
    }
}
