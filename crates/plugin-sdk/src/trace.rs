//! Sends a plugin's own `tracing` events to callmeter's log.
//!
//! A plugin has its own copy of `tracing`'s statics; without this its events go nowhere.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use callmeter_plugin_abi::level;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;

use crate::host::{Host, HostTable};

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes callmeter's log the default subscriber of this plugin. Call it in `create`.
///
/// Instances of one plugin share its statics: the first call counts, later ones do nothing. Returns
/// whether it was the first.
pub fn init(host: &Host) -> bool {
    let subscriber = Registry::default().with(HostLayer(host.table()));
    tracing::subscriber::set_global_default(subscriber).is_ok()
}

/// A layer that writes events to callmeter's log, for use in your own subscriber.
pub struct HostLayer(HostTable);

impl HostLayer {
    /// A layer for this host.
    pub fn new(host: &Host) -> Self {
        Self(host.table())
    }
}

impl fmt::Debug for HostLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostLayer")
    }
}

impl<S: Subscriber> Layer<S> for HostLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let level = match *metadata.level() {
            Level::ERROR => level::ERROR,
            Level::WARN => level::WARN,
            Level::INFO => level::INFO,
            Level::DEBUG => level::DEBUG,
            Level::TRACE => level::TRACE,
        };
        if !self.0.enabled(level) {
            return;
        }
        LINE.with_borrow_mut(|line| {
            line.clear();
            event.record(&mut Text(line));
            self.0.log(level, metadata.target(), line);
        });
    }
}

/// The message, then the other fields as `name=value`.
struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        // Writing to a String does not fail.
        let _ = if field.name() == "message" {
            write!(self.0, "{value:?}")
        } else {
            write!(self.0, "{}={value:?}", field.name())
        };
    }
}
