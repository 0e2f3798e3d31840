//! What the delivery loop feeds: an instance in this process or one in a child of it.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use callmeter_records::Stream;

use crate::plugin_answer::PluginAnswer;

/// One batch on its way to a plugin.
pub(crate) struct BatchRequest<'a> {
    /// 1, 2, 3, … within the instance.
    pub(crate) seq: u64,
    /// Stable over attempts and restarts.
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

    /// Asks for durability; also returns the last durable `seq`, 0 for none.
    fn flush(&mut self, within: Duration) -> (PluginAnswer, u64);

    /// A way to reach the instance while a call is in progress.
    fn interrupt(&self) -> Arc<dyn Interrupt>;
}

/// Reaches an instance from another thread.
pub(crate) trait Interrupt: Send + Sync {
    /// Asks the call in progress to return.
    fn cancel(&self);

    /// Ends the instance by force, where that is possible; the call in progress then fails.
    fn kill(&self) -> bool;
}
