//! The parts of the program that every account and every command uses.

use std::sync::Arc;

use callmeter_journal::{Journal, StoredBatch};
use callmeter_meter::{ApplyError, Meter};
use callmeter_plugin_host::Outputs;
use callmeter_records::Stream;
use tokio::sync::Notify;

use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;
use crate::sources::{BackfillRequests, Budgets, HostLimits};
use crate::status::StatusStore;

/// Handles to the parts. They are cheap to clone.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the types are documented")]
pub struct AppContext {
    pub journal: Journal,
    pub meter: Arc<Meter>,
    pub outputs: Arc<Outputs>,
    pub metrics: SelfMetrics,
    pub status: Arc<StatusStore>,
    pub redactor: Arc<SecretRedactor>,
    pub backfills: BackfillRequests,
    pub hosts: HostLimits,
    pub budgets: Budgets,
    /// Notified when batches were appended to a journal that only this process uses.
    pub appended: Arc<Notify>,
}

impl AppContext {
    /// The parts around a journal, which nothing else uses yet.
    #[cfg(test)]
    pub(crate) fn of(journal: Journal, outputs: Arc<Outputs>) -> Self {
        let meter = Arc::new(Meter::new(callmeter_meter::Ledger::default()));
        let metrics = SelfMetrics::new().unwrap();
        let file = std::path::Path::new("callmeter.yml");
        let started = jiff::Timestamp::now();
        let status = StatusStore::new(file, started, Arc::clone(&meter), metrics.clone());
        Self {
            journal,
            meter,
            outputs,
            metrics,
            status: Arc::new(status),
            redactor: Arc::default(),
            backfills: BackfillRequests::default(),
            hosts: HostLimits::default(),
            budgets: Budgets::default(),
            appended: Arc::default(),
        }
    }

    /// Counts batches that have just been journaled. Call it right after journaling, so that the
    /// batches of an account are counted in the journal's order. Outputs read the journal on their
    /// own. If instances share the journal, each counts all batches when it reads them there: this
    /// does nothing.
    ///
    /// # Errors
    /// If a batch does not have its stream's columns: a bug in callmeter.
    pub fn count(&self, stream: Stream, batches: &[StoredBatch]) -> Result<(), ApplyError> {
        if batches.is_empty() || self.journal.is_shared() {
            return Ok(());
        }
        self.appended.notify_one();
        self.meter.update(|ledger| {
            for batch in batches {
                ledger.apply(batch.meta.seq.0, stream, &batch.records)?;
            }
            Ok(())
        })
    }
}
