//! What lies behind the polls: the journal, the meter that counts it, the outputs that are fed from it.

mod keeper;
pub(crate) mod output_metrics;
mod outputs;
mod restore;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callmeter_journal::{Journal, JournalError, Options, RetentionPolicy};
use callmeter_meter::{Limits, Meter};
use callmeter_plugin_host::Outputs;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use self::output_metrics::OutputMetrics;
use crate::config::{self, Config};
use crate::context::AppContext;
use crate::exit::Failure;
use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;
use crate::status::StatusStore;
use crate::stop::{StopSender, stop};

pub use outputs::OutputsError;
pub(crate) use outputs::dead_letters;

/// The journal with all that is derived from it, from opening to an orderly end.
#[derive(Debug)]
pub struct Pipeline {
    app: AppContext,
    outputs: outputs::ConfiguredOutputs,
    retention: Arc<Mutex<RetentionPolicy>>,
    keeper: JoinHandle<()>,
    stop_keeper: StopSender,
}

/// Opens a journal for writing.
///
/// # Errors
/// [`Failure::Journal`] with what to do about it.
pub fn open_journal(path: &Path) -> Result<Journal, Failure> {
    Journal::open(path, &Options::default()).map_err(journal_failure)
}

/// A journal's error as the reason for which the program ends.
pub fn journal_failure(error: JournalError) -> Failure {
    let text = crate::error_chain::chain(&error);
    drop(error);
    Failure::Journal(text)
}

/// The bounds of the meter that the configuration asks for.
pub fn meter_limits(metrics: &config::Metrics) -> Limits {
    Limits {
        label_sets: metrics.max_label_sets,
    }
}

impl Pipeline {
    /// Opens the journal and counts again what it holds. No output runs yet.
    ///
    /// # Errors
    /// When the journal cannot be opened or read.
    pub async fn open(
        config: &Config,
        metrics: &SelfMetrics,
        status: &Arc<StatusStore>,
        redactor: &Arc<SecretRedactor>,
    ) -> Result<Self, Failure> {
        let path = config.journal.path.clone();
        let limits = meter_limits(&config.metrics);
        let (journal, ledger) = tokio::task::spawn_blocking(move || {
            let journal = open_journal(&path)?;
            let ledger = restore::ledger(&journal, limits)?;
            Ok::<_, Failure>((journal, ledger))
        })
        .await
        .map_err(Failure::failed)??;
        let backlog = Arc::new(journal.clone());
        let app = AppContext {
            journal,
            meter: Arc::new(Meter::new(ledger)),
            outputs: Arc::new(Outputs::new(backlog).map_err(Failure::failed)?),
            metrics: metrics.clone(),
            status: Arc::clone(status),
            redactor: Arc::clone(redactor),
        };
        let retention = Arc::new(Mutex::new(RetentionPolicy::default()));
        let (stop_keeper, stopped) = stop();
        let output_metrics = OutputMetrics::new(Arc::clone(&app.outputs));
        let output_metrics = Box::new(output_metrics.map_err(Failure::failed)?);
        metrics
            .registry
            .register(output_metrics)
            .map_err(Failure::failed)?;
        status.set_outputs(Arc::clone(&app.outputs), Arc::clone(redactor));
        let keeper = keeper::Keeper::new(app.clone(), Arc::clone(&retention));
        let pipeline = Self {
            app,
            outputs: outputs::ConfiguredOutputs::default(),
            retention,
            keeper: tokio::spawn(keeper.run(stopped)),
            stop_keeper,
        };
        pipeline.set_retention(config);
        Ok(pipeline)
    }

    /// Handles to the parts.
    pub fn app(&self) -> AppContext {
        self.app.clone()
    }

    /// Starts, stops and replaces outputs so that these, and no others, run. Outputs that are
    /// unchanged are not touched.
    ///
    /// # Errors
    /// When a secret of an output cannot be read or an output cannot be set up; then nothing has changed.
    pub async fn set_outputs(&mut self, outputs: &[config::Output]) -> Result<(), OutputsError> {
        self.outputs.set(&self.app, outputs).await
    }

    /// Sets how long and how much the journal keeps.
    pub fn set_retention(&self, config: &Config) {
        let policy = RetentionPolicy {
            keep: Some(config.journal.keep),
            max_bytes: Some(config.journal.max_bytes),
            drop_unacknowledged: config.journal.drop_undelivered,
            accounts: config
                .accounts
                .iter()
                .map(|account| account.name.clone())
                .collect(),
        };
        *self
            .retention
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// Ends in order: outputs flush within `limit`, totals are kept for the next start. Returns the
    /// outputs that did not end.
    pub async fn close(self, limit: Duration) -> Vec<String> {
        let outputs = Arc::clone(&self.app.outputs);
        let late = tokio::task::spawn_blocking(move || outputs.shutdown(limit)).await;
        let late = late.unwrap_or_else(|error| vec![error.to_string()]);
        if !late.is_empty() {
            let outputs = late.join(",");
            warn!(
                outputs,
                "outputs did not end in time; they get the last batches again"
            );
        }
        self.stop_keeper.stop();
        if let Err(error) = self.keeper.await {
            warn!(%error, "the journal's keeper broke");
        }
        info!(batch = self.app.journal.head().0, "journal closed");
        late
    }
}
