//! The parts of the program that every account and every command uses.

use std::sync::Arc;

use callmeter_journal::{Journal, StoredBatch};
use callmeter_meter::{ApplyError, Meter};
use callmeter_plugin_host::Outputs;
use callmeter_records::Stream;

use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;
use crate::sources::{BackfillRequests, HostLimits};
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
}

impl AppContext {
    /// Counts batches that have just been journaled. Call it right after journaling, so that the
    /// batches of an account are counted in the journal's order. Outputs read the journal on their
    /// own.
    ///
    /// # Errors
    /// If a batch does not have its stream's columns: a bug in callmeter.
    pub fn count(&self, stream: Stream, batches: &[StoredBatch]) -> Result<(), ApplyError> {
        if batches.is_empty() {
            return Ok(());
        }
        self.meter.update(|ledger| {
            for batch in batches {
                ledger.apply(batch.meta.seq.0, stream, &batch.records)?;
            }
            Ok(())
        })
    }
}
