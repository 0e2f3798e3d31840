//! What every instance of an output's plugin works with.

use std::sync::Arc;

use callmeter_records::Stream;

use super::shared::Shared;
use crate::dead_letters::DeadLetters;
use crate::settings::{Limits, OutputSettings};
use callmeter_records::BatchLog;

/// An output's settings, its batches and its shared state.
pub(super) struct Context {
    pub(super) output: String,
    pub(super) streams: Vec<Stream>,
    pub(super) limits: Limits,
    pub(super) dead_letters: DeadLetters,
    pub(super) batches: Arc<dyn BatchLog>,
    pub(super) shared: Arc<Shared>,
}

impl Context {
    pub(super) fn new(
        settings: &OutputSettings,
        batches: Arc<dyn BatchLog>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            output: settings.name.clone(),
            streams: settings.streams.clone(),
            limits: settings.limits,
            dead_letters: settings.dead_letters.clone(),
            batches,
            shared,
        }
    }

    /// Waits after so many failures in a row. Returns false if the output is to stop.
    pub(super) fn pause(&self, failures: u32) -> bool {
        self.update_backlog();
        let wait =
            callmeter_backoff::wait(failures, self.limits.retry_least, self.limits.retry_most);
        self.shared.pause(wait)
    }

    pub(super) fn update_backlog(&self) -> bool {
        self.shared.update_backlog(self.batches.as_ref())
    }
}
