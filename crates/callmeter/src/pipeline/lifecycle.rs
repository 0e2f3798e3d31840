//! Opens and closes the pipeline, and changes it at a reload.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callmeter_journal::RetentionPolicy;
use callmeter_meter::Meter;
use callmeter_plugin_host::Outputs;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::follower::Follower;
use super::journal::{meter_limits, open_journal};
use super::keeper::Keeper;
use super::output_metrics::OutputMetrics;
use super::outputs::{ConfiguredOutputs, IfRefused, OutputsError};
use super::restore;
use crate::charging::ChargeSet;
use crate::config::{self, Config};
use crate::context::AppContext;
use crate::exit::Failure;
use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;
use crate::sources::{BackfillRequests, Budgets, HostLimits};
use crate::status::StatusStore;
use crate::stop::{StopSender, stop};
use callmeter_error_chain::chain;

/// The journal and everything that is derived from it.
#[derive(Debug)]
pub struct Pipeline {
    app: AppContext,
    outputs: ConfiguredOutputs,
    charges: ChargeSet,
    /// Why changed secrets of outputs are not used; logged once.
    secrets_refused: Option<String>,
    retention: Arc<Mutex<RetentionPolicy>>,
    /// Counts what is journaled, if other instances append, too.
    follower: Option<Follower>,
    keeper: JoinHandle<()>,
    stop_keeper: StopSender,
}

impl Pipeline {
    /// Opens the journal and restores the totals of `meter`. No output runs
    /// yet.
    ///
    /// # Errors
    /// If the journal cannot be opened or read.
    pub async fn open(
        config: &Config,
        meter: Arc<Meter>,
        status: Arc<StatusStore>,
        metrics: &SelfMetrics,
        redactor: &Arc<SecretRedactor>,
    ) -> Result<Self, Failure> {
        let (place, reader) = (config.journal.place.clone(), Arc::clone(redactor));
        let limits = meter_limits(&config.metrics);
        let (journal, ledger) = tokio::task::spawn_blocking(move || {
            let journal = open_journal(&place, &reader)?;
            let ledger = restore::ledger(&journal, limits)?;
            Ok::<_, Failure>((journal, ledger))
        })
        .await
        .map_err(Failure::failed)??;
        let mut ledger = ledger;
        ledger.set_view(config.metrics.view.clone());
        meter.restore(ledger);
        let backlog = Arc::new(journal.clone());
        let app = AppContext {
            journal,
            meter,
            outputs: Arc::new(Outputs::new(backlog).map_err(Failure::failed)?),
            metrics: metrics.clone(),
            status,
            redactor: Arc::clone(redactor),
            backfills: BackfillRequests::default(),
            hosts: HostLimits::default(),
            budgets: Budgets::default(),
        };
        let retention = Arc::new(Mutex::new(RetentionPolicy::default()));
        let (stop_keeper, stopped) = stop();
        let output_metrics =
            OutputMetrics::new(Arc::clone(&app.outputs)).map_err(Failure::failed)?;
        metrics
            .registry
            .register(Box::new(output_metrics))
            .map_err(Failure::failed)?;
        app.status
            .set_outputs(Arc::clone(&app.outputs), Arc::clone(redactor));
        let follow = || Follower::start(&app, limits);
        let follower = app.journal.is_shared().then(follow).transpose();
        let follower = follower.map_err(Failure::failed)?;
        let keeper = Keeper::new(app.clone(), Arc::clone(&retention));
        let pipeline = Self {
            app,
            outputs: ConfiguredOutputs::default(),
            charges: ChargeSet::default(),
            secrets_refused: None,
            retention,
            follower,
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

    /// Starts the outputs and the charging of calls. An output whose plugin cannot be created is
    /// down and tries again.
    ///
    /// # Errors
    /// If a secret of an output cannot be read, or an output cannot be set up.
    pub async fn start_outputs(&mut self, config: &Config) -> Result<(), OutputsError> {
        let (outputs, charges) = (&config.outputs, &config.charges);
        self.outputs
            .set(&self.app, outputs, charges, IfRefused::KeepTrying)
            .await?;
        self.set_charges(charges).await
    }

    /// Starts, stops and restarts outputs, and the charging of calls, so that exactly these run.
    /// What has not changed is not touched. If it fails, nothing is.
    ///
    /// # Errors
    /// If a secret of an output cannot be read, a plugin does not accept its settings, or the
    /// journal cannot be written.
    pub async fn set_outputs(&mut self, config: &Config) -> Result<(), OutputsError> {
        let (outputs, charges) = (&config.outputs, &config.charges);
        self.outputs
            .set(&self.app, outputs, charges, IfRefused::Undo)
            .await?;
        self.set_charges(charges).await
    }

    async fn set_charges(&mut self, charges: &[config::Charging]) -> Result<(), OutputsError> {
        let (app, charges) = (self.app.clone(), charges.to_vec());
        let mut set = std::mem::take(&mut self.charges);
        let (set, result) = tokio::task::spawn_blocking(move || {
            let result = set.set(&app, &charges);
            (set, result)
        })
        .await
        .map_err(|error| OutputsError::Broken(error.to_string()))?;
        self.charges = set;
        result.map_err(|error| OutputsError::Broken(error.to_string()))
    }

    /// Restarts the outputs whose secrets have changed.
    pub async fn follow_output_secrets(&mut self) {
        let result = self.outputs.follow_secrets(&self.app).await;
        let refusal = result.err().map(|error| chain(&error));
        if refusal != self.secrets_refused {
            if let Some(error) = &refusal {
                warn!(error, "a changed secret of an output is not used");
            }
            self.secrets_refused = refusal;
        }
    }

    /// Sets what the metrics show.
    pub fn set_view(&self, config: &Config) {
        let view = config.metrics.view.clone();
        self.app.meter.update(|ledger| ledger.set_view(view));
    }

    /// Sets how long and how much the journal keeps.
    pub fn set_retention(&self, config: &Config) {
        let limit = i64::try_from(config.journal.max_bytes).unwrap_or(i64::MAX);
        self.app.metrics.journal_limit.set(limit);
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

    /// Closes in order: outputs flush within `limit`, then the totals are stored for the next
    /// start. Returns the outputs that did not end in time.
    pub async fn close(self, limit: Duration) -> Vec<String> {
        let outputs = Arc::clone(&self.app.outputs);
        let (app, mut charges) = (self.app.clone(), self.charges);
        // First, so that outputs get the last charges. A thread that panicked has logged it.
        let _ended = tokio::task::spawn_blocking(move || charges.stop(&app)).await;
        let late = tokio::task::spawn_blocking(move || outputs.shutdown(limit)).await;
        let late = late.unwrap_or_else(|error| vec![error.to_string()]);
        if !late.is_empty() {
            let outputs = late.join(",");
            warn!(
                outputs,
                "outputs did not end in time; the next start delivers their last batches again"
            );
        }
        if let Some(follower) = self.follower {
            follower.stop().await;
        }
        self.stop_keeper.stop();
        if let Err(error) = self.keeper.await {
            warn!(%error, "the journal's keeper failed");
        }
        let journal = self.app.journal.clone();
        let left = tokio::task::spawn_blocking(move || journal.leave()).await;
        if let Ok(Err(error)) = left {
            let error = chain(&error);
            warn!(
                error,
                "other instances get the work of this one when its leases end"
            );
        }
        info!(batch = self.app.journal.head().0, "journal closed");
        late
    }
}
