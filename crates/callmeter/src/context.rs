//! The parts of the program that every account and the web server use.

use std::sync::Arc;

use callmeter_journal::{Journal, StoredBatch};
use callmeter_meter::{ApplyError, Meter};
use callmeter_plugin_host::Outputs;
use callmeter_records::Stream;

use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;
use crate::status::StatusStore;

/// Handles to the parts; cheap to clone, all clones are the same program.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the types say it")]
pub struct AppContext {
    pub journal: Journal,
    pub meter: Arc<Meter>,
    pub outputs: Arc<Outputs>,
    pub metrics: SelfMetrics,
    pub status: Arc<StatusStore>,
    pub redactor: Arc<SecretRedactor>,
}

impl AppContext {
    /// Counts batches that have just been journaled. To be called by who journaled them, before
    /// anything else, so that an account's batches are counted in the journal's order. The outputs
    /// wait at the journal by themselves.
    ///
    /// # Errors
    /// When a batch is not what its stream's are: a defect of this program.
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
