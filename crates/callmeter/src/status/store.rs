//! The store of the program's status. Readers get a copy and block nobody.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use callmeter_meter::Meter;
use callmeter_plugin_host::Outputs;
use jiff::Timestamp;

use super::account_store::AccountStore;
use super::charging::ChargingStatus;
use super::outputs::OutputStatus;
use super::overview::{ConfigStatus, JournalStatus, Status, Versions};
use super::sharing::{Followed, Sharing, SharingStatus, WorkStatus};
use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;

/// The status of everything. The parts of the program report to it; the web server reads it.
#[derive(Debug)]
pub struct StatusStore {
    started: Timestamp,
    accounts: AccountStore,
    outputs: OnceLock<(Arc<Outputs>, Arc<SecretRedactor>)>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    ready: bool,
    config: ConfigStatus,
    journal: JournalStatus,
    /// By the name of the entry.
    charges: BTreeMap<String, ChargingStatus>,
    /// `None` if the journal is a file.
    sharing: Option<Sharing>,
}

impl Inner {
    fn is_ready(&self) -> bool {
        self.ready && !self.sharing.as_ref().is_some_and(Sharing::is_behind)
    }
}

impl StatusStore {
    /// The status of a program that started at `started` and has no account yet.
    pub fn new(
        config_file: &Path,
        started: Timestamp,
        meter: Arc<Meter>,
        metrics: SelfMetrics,
    ) -> Self {
        Self {
            started,
            accounts: AccountStore::new(meter, metrics),
            outputs: OnceLock::new(),
            inner: Mutex::new(Inner {
                ready: false,
                config: ConfigStatus {
                    file: config_file.display().to_string(),
                    loaded: None,
                    error: None,
                    warnings: Vec::new(),
                },
                journal: JournalStatus::default(),
                charges: BTreeMap::new(),
                sharing: None,
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each change is complete in itself, so a poisoned lock guards valid data.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of everything.
    pub fn status(&self) -> Status {
        let accounts = self.accounts.all();
        let outputs = self.outputs();
        let inner = self.inner();
        Status {
            now: Timestamp::now(),
            started: self.started,
            ready: inner.is_ready(),
            versions: Versions {
                callmeter: crate::build::VERSION,
                revision: crate::build::REVISION,
                rustc: crate::build::RUSTC,
                target: crate::build::TARGET,
            },
            config: inner.config.clone(),
            accounts,
            charges: inner.charges.values().cloned().collect(),
            outputs,
            journal: inner.journal.clone(),
            sharing: inner.sharing.as_ref().map(Sharing::status),
        }
    }

    /// The accounts.
    pub fn accounts(&self) -> &AccountStore {
        &self.accounts
    }

    /// Whether the program is ready.
    pub fn is_ready(&self) -> bool {
        self.inner().is_ready()
    }

    /// When the program started.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// Sets whether the program is ready.
    pub fn set_ready(&self, ready: bool) {
        self.inner().ready = ready;
    }

    /// Records that a configuration was loaded.
    pub fn config_loaded(&self, warnings: Vec<String>) {
        let mut inner = self.inner();
        inner.config.loaded = Some(Timestamp::now());
        inner.config.error = None;
        inner.config.warnings = warnings;
    }

    /// Records that a configuration was rejected.
    pub fn config_rejected(&self, error: String) {
        self.inner().config.error = Some(error);
    }

    /// Sets where the status of the outputs is read from, once.
    pub fn set_outputs(&self, outputs: Arc<Outputs>, redactor: Arc<SecretRedactor>) {
        // A second call changes nothing: the outputs live as long as the program.
        let _ = self.outputs.set((outputs, redactor));
    }

    fn outputs(&self) -> Vec<OutputStatus> {
        let Some((outputs, redactor)) = self.outputs.get() else {
            return Vec::new();
        };
        let mut shown: Vec<_> = outputs
            .status()
            .into_iter()
            .map(|status| OutputStatus::new(status, redactor))
            .collect();
        shown.sort_by(|a, b| a.name.cmp(&b.name));
        shown
    }

    /// Sets how an entry of `charges` gets on.
    pub fn set_charging(&self, status: ChargingStatus) {
        self.inner().charges.insert(status.name.clone(), status);
    }

    /// Removes an entry of `charges`, by its name.
    pub fn remove_charging(&self, name: &str) {
        self.inner().charges.remove(name);
    }

    /// Sets that instances share the work, and the name of this one.
    pub fn share(&self, instance: String) {
        self.inner().sharing = Some(Sharing::new(instance));
    }

    /// How the work is shared; `None` if the journal is a file.
    pub fn sharing(&self) -> Option<SharingStatus> {
        self.inner().sharing.as_ref().map(Sharing::status)
    }

    /// Reports a round that succeeded: the live instances, and who works on what.
    pub fn set_shared(&self, instances: Vec<String>, work: Vec<WorkStatus>) {
        self.change_sharing(|sharing| sharing.round(instances, work));
    }

    /// Reports a round that failed.
    pub fn not_shared(&self, error: String) {
        self.change_sharing(|sharing| sharing.failed(error));
    }

    /// Reports how far the totals follow the journal, and when they had everything.
    pub fn set_followed(&self, followed: Followed, complete: Instant) {
        self.change_sharing(|sharing| sharing.followed(followed, complete));
    }

    fn change_sharing(&self, change: impl FnOnce(&mut Sharing)) {
        if let Some(sharing) = &mut self.inner().sharing {
            change(sharing);
        }
    }

    /// Changes the status of the journal.
    pub fn change_journal(&self, change: impl FnOnce(&mut JournalStatus)) {
        change(&mut self.inner().journal);
    }
}
