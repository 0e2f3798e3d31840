//! The thread of an output: makes instances of its plugin and replaces those that fail.

use std::sync::Arc;

use super::context::Context;
use super::feed::Feed;
use super::session::{Session, StopReason};
use super::shared::Shared;
use crate::settings::OutputSettings;
use crate::sink::Sink;
use crate::status::{OutputState, PluginIdentity};
use callmeter_records::BatchLog;

/// Makes instances of an output's plugin.
pub(crate) trait MakeSink: Send {
    /// Makes an instance, or returns the reason why it cannot. Registers the interrupt as early as
    /// possible, because `create` may hang as well.
    fn make(&self, shared: &Shared) -> Result<(Box<dyn Sink>, PluginIdentity), String>;
}

/// Makes no instance of an output that cannot run.
pub(crate) struct Down(pub(crate) String);

impl MakeSink for Down {
    fn make(&self, _: &Shared) -> Result<(Box<dyn Sink>, PluginIdentity), String> {
        Err(self.0.clone())
    }
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

    /// Creates the first instance, waits until the output is admitted, and feeds it until it is to
    /// stop.
    pub(crate) fn run(self) {
        let context = &self.context;
        let shared = &context.shared;
        let first = self.attempt();
        let said = first.as_ref().map_err(|reason| shared.scrub(reason));
        shared.set_created(said.map(|_| ()));
        let admitted = shared.wait_until_admitted();
        let mut next = match first {
            Ok((sink, _)) if !admitted => {
                self.destroy(sink);
                return;
            }
            Ok(made) => Some(made),
            Err(_) if !admitted => return,
            Err(reason) => {
                if !self.wait_after(&reason) {
                    return;
                }
                None
            }
        };
        let Some(mut feed) = self.open_feed() else {
            if let Some((sink, _)) = next {
                self.destroy(sink);
            }
            return;
        };
        context.update_backlog();
        loop {
            let Some((sink, plugin)) = next.take().or_else(|| self.make_instance()) else {
                return;
            };
            self.announce(&plugin);
            let mut session = Session::new(context, sink, &plugin, &mut feed);
            let reason = session.run();
            self.destroy(session.into_sink());
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

    fn destroy(&self, sink: Box<dyn Sink>) {
        let shared = &self.context.shared;
        shared.call("destroy", move || drop(sink));
        shared.instance_ended();
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

    /// Makes instances until one can be made or the output is to stop.
    fn make_instance(&self) -> Option<(Box<dyn Sink>, PluginIdentity)> {
        loop {
            if self.context.shared.stop_by().is_some() {
                return None;
            }
            match self.attempt() {
                Ok(made) => return Some(made),
                Err(reason) => {
                    if !self.wait_after(&reason) {
                        return None;
                    }
                }
            }
        }
    }

    /// Tries once to make an instance.
    fn attempt(&self) -> Result<(Box<dyn Sink>, PluginIdentity), String> {
        let shared = &self.context.shared;
        let (sink, plugin) = shared.call("create", || self.make.make(shared))?;
        shared.set_interrupt(sink.interrupt());
        Ok((sink, plugin))
    }

    /// Waits after an attempt that failed. Returns false if the output is to stop.
    fn wait_after(&self, reason: &str) -> bool {
        let shared = &self.context.shared;
        shared.set_state(OutputState::Restarting);
        let failures = shared.failed(&format!("no instance can be made: {reason}"));
        self.context.pause(failures)
    }

    fn announce(&self, plugin: &PluginIdentity) {
        let shared = &self.context.shared;
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
    }
}
