//! Opens and closes the pipeline, and changes it at a reload.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callmeter_journal::{InstanceOptions, RetentionPolicy, output_lease};
use callmeter_meter::Meter;
use callmeter_plugin_host::Outputs;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use super::follower::Follower;
use super::journal::{meter_limits, open_journal};
use super::keeper::Keeper;
use super::lost_server;
use super::output_metrics::OutputMetrics;
use super::outputs::{ConfiguredOutputs, CursorOwners, IfRefused, OutputsError};
use super::restore;
use super::shares::{self, Shares};
use super::sharing::{Sharing, Turn};
use super::sharing_metrics::SharingMetrics;
use crate::charging::{ChargeSet, cursor_of, deck_account};
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
    /// Shares the work, if other instances do.
    sharing: Option<Sharing>,
    /// What this instance works on now, if it shares the work.
    held: Shares,
    /// Why outputs and charges could not be started. The next round tries again.
    not_started: Option<String>,
    /// The accounts whose totals it shows, if it shares the work.
    shown: BTreeSet<String>,
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
            appended: Arc::default(),
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
        if app.journal.is_shared() {
            app.status.share(instance_name());
            let shared = SharingMetrics::new(Arc::clone(&app.status)).map_err(Failure::failed)?;
            let registry = &metrics.registry;
            registry
                .register(Box::new(shared))
                .map_err(Failure::failed)?;
            app.journal.join(InstanceOptions::new(instance_name()));
        }
        let share = || Sharing::start(&app, shares::wanted(config));
        let sharing = app.journal.is_shared().then(share).transpose();
        let sharing = sharing.map_err(Failure::failed)?;
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
            sharing,
            held: Shares::new(),
            not_started: None,
            shown: BTreeSet::new(),
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
        self.run(config, IfRefused::KeepTrying).await
    }

    /// Starts, stops and restarts outputs, and the charging of calls, so that exactly these run.
    /// What has not changed is not touched. If it fails, nothing is.
    ///
    /// # Errors
    /// If a secret of an output cannot be read, a plugin does not accept its settings, or the
    /// journal cannot be written.
    pub async fn set_outputs(&mut self, config: &Config) -> Result<(), OutputsError> {
        self.run(config, IfRefused::Undo).await
    }

    /// What the last round says; `None` if there is nothing to do.
    pub(crate) fn take_turn(&mut self) -> Option<Turn> {
        let turn = self.sharing.as_mut()?.turn();
        let is_new = turn.work != self.held || !turn.release.is_empty();
        (is_new || self.not_started.is_some()).then_some(turn)
    }

    /// Starts the outputs and charges that this instance works on. If that fails, the next round
    /// tries again.
    pub(crate) async fn start_part(&mut self, config: &Config) {
        let result = self.start_outputs(config).await;
        let failure = result.err().map(|error| chain(&error));
        if failure != self.not_started
            && let Some(error) = &failure
        {
            error!(error, "outputs cannot be started; trying again");
        }
        self.not_started = failure;
    }

    /// Sets what this instance works on, for the next change of accounts and outputs.
    pub(crate) fn hold(&mut self, held: Shares) {
        self.held = held;
    }

    /// What of these shares it has worked on without a time in between.
    pub(crate) fn kept(&self, now: &Shares) -> Shares {
        shares::kept(&self.held, now)
    }

    /// Gives leases up. The work on them has ended.
    pub(crate) async fn release(&self, leases: Vec<String>) {
        let journal = self.app.journal.clone();
        let released = tokio::task::spawn_blocking(move || journal.release(&leases)).await;
        if let Ok(Err(error)) = released {
            let error = chain(&error);
            warn!(error, "cannot give up leases; trying again");
        }
    }

    async fn run(&mut self, config: &Config, if_refused: IfRefused) -> Result<(), OutputsError> {
        let part = self.part(config);
        let owners = CursorOwners::of(config);
        let outputs = self
            .outputs
            .set(&self.app, &part.outputs, owners, if_refused)
            .await;
        if if_refused == IfRefused::Undo {
            outputs?;
            return self.set_charges(&part.charges).await;
        }
        // Neither keeps the other from running.
        self.set_charges(&part.charges).await.and(outputs)
    }

    /// The part of a configuration that this instance works on: all of it, unless it shares the
    /// work with others.
    pub fn part(&self, config: &Config) -> Config {
        match self.sharing {
            None => config.clone(),
            Some(_) => shares::part(config, &self.held),
        }
    }

    /// Shows the totals of all accounts, whichever instance polls them, and no longer those of
    /// accounts that are gone.
    pub fn show_accounts(&mut self, config: &Config) {
        if self.sharing.is_none() {
            return;
        }
        let names = config.accounts.iter().map(|account| account.name.clone());
        let names: BTreeSet<String> = names.collect();
        for gone in self.shown.difference(&names) {
            self.app.status.accounts().remove(gone);
        }
        self.shown = names;
        self.app.meter.update(|ledger| {
            for account in &config.accounts {
                ledger.configure(&account.name, account.api.kind());
            }
        });
    }

    /// Tells the instances what this configuration needs.
    pub fn set_wanted(&self, config: &Config) {
        if let Some(sharing) = &self.sharing {
            sharing.set_wanted(shares::wanted(config));
        }
    }

    /// Ends with the next round in which the work is shared.
    pub fn next_round(&self) -> impl Future<Output = ()> + use<> {
        let rounds = self.sharing.as_ref().map(Sharing::rounds);
        async move {
            if let Some(mut rounds) = rounds
                && rounds.changed().await.is_ok()
            {
                return;
            }
            std::future::pending::<()>().await;
        }
    }

    async fn set_charges(&mut self, charges: &[config::Charging]) -> Result<(), OutputsError> {
        for entry in charges {
            let (account, lease) = (deck_account(entry), cursor_of(entry));
            if account == entry.name {
                self.app.journal.append_under(account, output_lease(&lease));
            }
        }
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
    /// start. Does not wait for a server that does not answer. Returns the outputs that did not end
    /// in time.
    pub async fn close(self, limit: Duration) -> Vec<String> {
        let journal = &self.app.journal;
        let outputs = Arc::clone(&self.app.outputs);
        let (app, mut charges) = (self.app.clone(), self.charges);
        // Outputs would wait for it, too.
        lost_server::give_up_if_lost(journal).await;
        // First, so that outputs get the last charges. A thread that panicked has logged it.
        let charges = tokio::task::spawn_blocking(move || charges.stop(&app));
        let _ended = lost_server::finish(journal, charges).await;
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
            lost_server::finish(journal, follower.stop()).await;
        }
        self.stop_keeper.stop();
        if let Err(error) = lost_server::finish(journal, self.keeper).await {
            warn!(%error, "the journal's keeper failed");
        }
        if let Some(sharing) = self.sharing {
            lost_server::finish(journal, sharing.stop()).await;
        }
        let leaving = journal.clone();
        let leave = tokio::task::spawn_blocking(move || leaving.leave());
        if let Ok(Err(error)) = lost_server::finish(journal, leave).await {
            let error = chain(&error);
            warn!(
                error,
                "other instances get the work of this one when its leases end"
            );
        }
        info!(batch = journal.head().0, "journal closed");
        late
    }
}

/// The name of this process for people.
fn instance_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", host.trim(), std::process::id())
}
