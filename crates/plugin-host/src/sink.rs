//! The interface to an instance of a plugin, in this process or in a child process.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use callmeter_records::Stream;

use crate::plugin_answer::PluginAnswer;

/// A batch for a plugin.
pub(crate) struct BatchRequest<'a> {
    /// 1, 2, 3, … within the instance.
    pub(crate) seq: u64,
    /// The same for every attempt, even after a restart.
    pub(crate) id: [u8; 16],
    /// From 1.
    pub(crate) attempt: u32,
    pub(crate) stream: Stream,
    pub(crate) records: &'a RecordBatch,
}

/// An instance of a plugin. Dropping it ends it.
pub(crate) trait Sink {
    /// Hands over a batch.
    fn write(&mut self, request: &BatchRequest<'_>) -> PluginAnswer;

    /// Asks the plugin to make everything durable. Also returns the last durable `seq`, 0 for none.
    fn flush(&mut self, within: Duration) -> (PluginAnswer, u64);

    /// Returns a handle that reaches the instance while a call is in progress.
    fn interrupt(&self) -> Arc<dyn Interrupt>;
}

/// Reaches an instance from another thread.
pub(crate) trait Interrupt: Send + Sync {
    /// Asks the call in progress to return.
    fn cancel(&self);

    /// Ends the instance by force and returns true, if that is possible. The call in progress
    /// fails.
    fn kill(&self) -> bool;
}
