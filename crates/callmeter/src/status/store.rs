//! The store of the program's status. Readers get a copy and block nobody.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use callmeter_meter::Meter;
use jiff::Timestamp;

use super::account_store::AccountStore;
use super::outputs::OutputStatus;
use super::overview::{ConfigStatus, JournalStatus, Status, Versions};
use crate::selfmetrics::SelfMetrics;

/// The status of everything. The parts of the program report to it; the web server reads it.
#[derive(Debug)]
pub struct StatusStore {
    started: Timestamp,
    accounts: AccountStore,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    ready: bool,
    config: ConfigStatus,
    outputs: Vec<OutputStatus>,
    journal: JournalStatus,
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
            inner: Mutex::new(Inner {
                ready: false,
                config: ConfigStatus {
                    file: config_file.display().to_string(),
                    loaded: None,
                    error: None,
                    warnings: Vec::new(),
                },
                outputs: Vec::new(),
                journal: JournalStatus::default(),
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
        let inner = self.inner();
        Status {
            now: Timestamp::now(),
            started: self.started,
            ready: inner.ready,
            versions: Versions {
                callmeter: crate::build::VERSION,
                revision: crate::build::REVISION,
                rustc: crate::build::RUSTC,
                target: crate::build::TARGET,
            },
            config: inner.config.clone(),
            accounts,
            outputs: inner.outputs.clone(),
            journal: inner.journal.clone(),
        }
    }

    /// The accounts.
    pub fn accounts(&self) -> &AccountStore {
        &self.accounts
    }

    /// Whether the program is ready.
    pub fn is_ready(&self) -> bool {
        self.inner().ready
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

    /// Replaces the status of the outputs. An output whose library is not known, because it is not
    /// loaded yet, keeps the library of its last status.
    pub fn set_outputs(&self, mut outputs: Vec<OutputStatus>) {
        let mut inner = self.inner();
        for output in outputs.iter_mut().filter(|output| output.plugin.is_empty()) {
            let known = inner.outputs.iter().find(|known| known.name == output.name);
            if let Some(known) = known {
                output.plugin.clone_from(&known.plugin);
            }
        }
        inner.outputs = outputs;
    }

    /// Adds an output that is about to start.
    pub fn add_output(&self, name: &str, plugin: &str) {
        let mut inner = self.inner();
        inner.outputs.retain(|known| known.name != name);
        inner.outputs.push(OutputStatus {
            name: name.to_owned(),
            plugin: plugin.to_owned(),
            description: None,
            up: false,
            state: "starting".to_owned(),
            error: None,
            streams: BTreeMap::new(),
        });
    }

    /// Changes the status of the journal.
    pub fn change_journal(&self, change: impl FnOnce(&mut JournalStatus)) {
        change(&mut self.inner().journal);
    }
}
