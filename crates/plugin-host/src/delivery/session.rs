//! The state of one instance of a plugin while it is fed.
//!
//! Delivery is at least once and in order. A batch stays in the window until the plugin's `flush`
//! says that it is durable; only then the cursor in the journal moves. A refused batch leaves the
//! window when it is stored as a dead letter. When an instance fails, everything left in its window
//! is read again and sent to the next one.

use std::time::Duration;

use super::context::Context;
use super::feed::Feed;
use super::window::Window;
use crate::plugin_answer::PluginAnswer;
use crate::sink::Sink;
use crate::status::PluginIdentity;

/// The longest wait that a plugin may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// Why an instance is no longer fed.
pub(super) enum StopReason {
    /// The output is to stop.
    Stopped,
    /// The instance cannot go on.
    Fatal(String),
}

/// What follows from a plugin's answer, if the instance can go on.
pub(super) enum NextStep {
    /// It succeeded.
    GoOn,
    /// The call is repeated, not before `after` if the plugin says so.
    Retry {
        reason: String,
        after: Option<Duration>,
    },
    /// The batch becomes a dead letter.
    Refuse { reason: String },
}

/// An instance, what it accepted, and what of that is durable.
pub(super) struct Session<'a> {
    pub(super) context: &'a Context,
    pub(super) sink: Box<dyn Sink>,
    /// The plugin's name and version.
    pub(super) plugin: String,
    pub(super) feed: &'a mut Feed,
    pub(super) window: Window,
    /// The last number given to a batch.
    pub(super) seq: u64,
    /// The number of the last batch that was accepted.
    pub(super) accepted: u64,
    /// The number of the last batch that is durable.
    pub(super) durable: u64,
    /// The notifications before the backlog was read while there was nothing to do.
    pub(super) backlog_read_at: Option<u64>,
    /// Undefined statuses in a row.
    unknown_answers: u32,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        context: &'a Context,
        sink: Box<dyn Sink>,
        plugin: &PluginIdentity,
        feed: &'a mut Feed,
    ) -> Self {
        Self {
            context,
            sink,
            plugin: format!("{} {}", plugin.name, plugin.version),
            feed,
            window: Window::default(),
            seq: 0,
            accepted: 0,
            durable: 0,
            backlog_read_at: None,
            unknown_answers: 0,
        }
    }

    pub(super) fn into_sink(self) -> Box<dyn Sink> {
        self.sink
    }

    /// Reduces an answer to what can follow from it. The first undefined status means "retry", the
    /// second in a row means "fatal".
    pub(super) fn normalize(&mut self, answer: PluginAnswer) -> Result<NextStep, StopReason> {
        let unknown_before = std::mem::take(&mut self.unknown_answers);
        match answer {
            PluginAnswer::Ok => Ok(NextStep::GoOn),
            PluginAnswer::Retry { reason, after } => Ok(NextStep::Retry { reason, after }),
            PluginAnswer::Reject { reason } => Ok(NextStep::Refuse { reason }),
            PluginAnswer::Fatal { reason } => Err(StopReason::Fatal(reason)),
            PluginAnswer::Unknown { code, reason } if unknown_before == 0 => {
                self.unknown_answers = 1;
                let reason = format!("status {code}: {reason}");
                Ok(NextStep::Retry {
                    reason,
                    after: None,
                })
            }
            PluginAnswer::Unknown { code, reason } => Err(StopReason::Fatal(format!(
                "it answers with status {code}, which does not exist: {reason}"
            ))),
        }
    }

    /// Waits as long as the plugin asks for, or else after so many failures in a row.
    pub(super) fn pause(&self, failures: u32, after: Option<Duration>) -> Result<(), StopReason> {
        let go_on = match after {
            Some(after) => {
                self.context.update_backlog();
                self.context.shared.pause(after.min(MAX_RETRY_AFTER))
            }
            None => self.context.pause(failures),
        };
        if go_on {
            Ok(())
        } else {
            Err(StopReason::Stopped)
        }
    }
}
