//! The log: one line per event on standard error, as logfmt or JSON, without secrets.
//!
//! Levels have the same meaning everywhere. `error`: the operator must act, data is or will be
//! missing. `warn`: something failed and is retried, or is configured unwisely. `info`: changes of
//! state (start, reload, an account that fails or works again), never once per poll. `debug`: each
//! poll and request. No level contains personal data or secrets.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::error;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::exit::Failure;
use crate::log_lines::Lines;
pub use crate::log_lines::LogFormat;
use crate::secret_redactor::SecretRedactor;

/// The lowest level that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Each poll and request.
    Debug,
    /// Changes of state.
    Info,
    /// Failures that are retried.
    Warn,
    /// Failures on which the operator must act.
    Error,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Info => Self::INFO,
            LogLevel::Warn => Self::WARN,
            LogLevel::Error => Self::ERROR,
        }
    }
}

/// Starts the log. Libraries log at `warn` and above only: their lower levels may contain request
/// bodies. Panics are logged, too, so that every line has the format.
pub fn start(level: LogLevel, format: LogFormat, redactor: &Arc<SecretRedactor>) {
    let layer = tracing_subscriber::fmt::layer()
        .event_format(Lines::new(format, Arc::clone(redactor)))
        .with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter(level.into()));
    // A second start, as in tests, has no effect.
    if registry.with(layer).try_init().is_ok() {
        STARTED.store(true, Ordering::Relaxed);
        std::panic::set_hook(Box::new(panicked));
    }
}

static STARTED: AtomicBool = AtomicBool::new(false);

fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    let reason = panic.payload_as_str().unwrap_or("unknown");
    error!(place, backtrace, reason, "a thread panicked");
}

/// Says why the program ends: as lines of the log if it was started, as plain text otherwise.
pub fn fatal(failure: &Failure) {
    let text = failure.to_string();
    if STARTED.load(Ordering::Relaxed) {
        // A configuration has a line for each mistake.
        for line in text.lines() {
            error!("{line}");
        }
    } else {
        eprintln!("callmeter: {text}");
    }
}

fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(
            [
                "callmeter",
                "callmeter_journal",
                "callmeter_meter",
                "callmeter_plugin_host",
                "callmeter_simulator",
                "plugin",
            ]
            .map(|target| (target, level)),
        )
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_log_from_warn_on() {
        let filter = filter(LevelFilter::DEBUG);
        assert!(!filter.would_enable("hyper::proto", &Level::DEBUG));
        assert!(filter.would_enable("hyper::proto", &Level::WARN));
        assert!(filter.would_enable("callmeter::sources", &Level::DEBUG));
    }
}
