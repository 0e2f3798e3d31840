//! The thread of an output: makes instances of its plugin and replaces those that fail.

use std::sync::Arc;

use super::context::Context;
use super::feed::Feed;
use super::session::{Session, StopReason};
use super::shared::Shared;
use crate::batch_log::BatchLog;
use crate::settings::OutputSettings;
use crate::sink::Sink;
use crate::status::{OutputState, PluginIdentity};

/// Makes instances of an output's plugin.
pub(crate) trait MakeSink: Send {
    /// Makes an instance, or returns the reason why it cannot. Registers the interrupt as early as
    /// possible, because `create` may hang as well.
    fn make(&self, shared: &Shared) -> Result<(Box<dyn Sink>, PluginIdentity), String>;
}

/// An output's thread.
pub(crate) struct Delivery {
    context: Context,
    make: Box<dyn MakeSink>,
}

impl Delivery {
    pub(crate) fn new(
        settings: &OutputSettings,
        batches: Arc<dyn BatchLog>,
        shared: Arc<Shared>,
        make: Box<dyn MakeSink>,
    ) -> Self {
        Self {
            context: Context::new(settings, batches, shared),
            make,
        }
    }

    /// Runs until the output is to stop.
    pub(crate) fn run(self) {
        let context = &self.context;
        let shared = &context.shared;
        let Some(mut feed) = self.open_feed() else {
            return;
        };
        context.update_backlog();
        while shared.stop_by().is_none() {
            let Some((sink, plugin)) = self.make_instance() else {
                return;
            };
            let mut session = Session::new(context, sink, &plugin, &mut feed);
            let reason = session.run();
            let sink = session.into_sink();
            shared.call("destroy", move || drop(sink));
            shared.instance_ended();
            feed.rewind();
            context.update_backlog();
            match reason {
                StopReason::Stopped => return,
                StopReason::Fatal(reason) => {
                    shared.set_state(OutputState::Restarting);
                    let failures = shared.failed(&format!("the instance failed: {reason}"));
                    if !context.pause(failures) {
                        return;
                    }
                }
            }
        }
    }

    fn open_feed(&self) -> Option<Feed> {
        let context = &self.context;
        loop {
            match Feed::open(context.batches.as_ref(), &context.output, &context.streams) {
                Ok(feed) => return Some(feed),
                Err(error) => {
                    let failures = context.shared.failed(&error.to_string());
                    if !context.pause(failures) {
                        return None;
                    }
                }
            }
        }
    }

    fn make_instance(&self) -> Option<(Box<dyn Sink>, PluginIdentity)> {
        let shared = &self.context.shared;
        loop {
            if shared.stop_by().is_some() {
                return None;
            }
            match shared.call("create", || self.make.make(shared)) {
                Ok((sink, plugin)) => {
                    shared.set_interrupt(sink.interrupt());
                    shared.instance_made(plugin.clone());
                    shared.set_state(OutputState::Running);
                    tracing::info!(
                        output = self.context.output,
                        plugin = plugin.name,
                        version = plugin.version,
                        path = plugin.path,
                        sha256 = plugin.sha256,
                        "the output runs"
                    );
                    return Some((sink, plugin));
                }
                Err(reason) => {
                    shared.set_state(OutputState::Restarting);
                    let failures = shared.failed(&format!("no instance can be made: {reason}"));
                    if !self.context.pause(failures) {
                        return None;
                    }
                }
            }
        }
    }
}
