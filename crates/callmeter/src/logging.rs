//! The log: one line per event on standard error, as logfmt or JSON, without secrets.
//!
//! Levels have the same meaning everywhere. `error`: the operator must act, data is or will be
//! missing. `warn`: something failed and is retried, or is configured unwisely. `info`: changes of
//! state (start, reload, an account that fails or works again), never once per poll. `debug`: each
//! poll and request. No level contains personal data or secrets.

use std::fmt;
use std::io;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::secret_redactor::SecretRedactor;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// `time=… level=info msg="…" key=value`
    Logfmt,
    /// One JSON object per line.
    Json,
}

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
/// bodies.
pub fn start(level: LogLevel, format: LogFormat, redactor: &Arc<SecretRedactor>) {
    let filter = filter(level.into());
    let writer = ScrubbedStderr(Arc::clone(redactor));
    let registry = tracing_subscriber::registry().with(filter);
    // A second start, as in tests, has no effect.
    let _already_started = match format {
        LogFormat::Logfmt => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .event_format(Logfmt)
                    .with_writer(writer),
            )
            .try_init(),
        LogFormat::Json => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .with_span_list(false)
                    .with_writer(writer),
            )
            .try_init(),
    };
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

/// Standard error. Each line is scrubbed before it is written.
struct ScrubbedStderr(Arc<SecretRedactor>);

impl<'a> MakeWriter<'a> for ScrubbedStderr {
    type Writer = ScrubbedLine<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        ScrubbedLine(&self.0)
    }
}

struct ScrubbedLine<'a>(&'a SecretRedactor);

impl io::Write for ScrubbedLine<'_> {
    // The subscriber writes each event as one whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        io::stderr()
            .lock()
            .write_all(self.0.scrub(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Writes `time=… level=… msg=… key=value`, as Go's slog and the Prometheus exporters do.
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str("time=")?;
        SystemTime.format_time(&mut writer)?;
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        write!(writer, " level={level}")?;
        let mut fields = LogfmtFields::default();
        event.record(&mut fields);
        writer.write_str(" msg=")?;
        write_value(&mut writer, &fields.message)?;
        writer.write_str(&fields.rest)?;
        writer.write_char('\n')
    }
}

#[derive(Default)]
struct LogfmtFields {
    message: String,
    rest: String,
}

impl LogfmtFields {
    fn put(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.rest.push(' ');
            self.rest.push_str(field.name());
            self.rest.push('=');
            // Writing to a String does not fail.
            let _ = write_value(&mut self.rest, value);
        }
    }
}

impl Visit for LogfmtFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, &callmeter_error_chain::chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"));
    }
}

/// Writes a value, quoted and escaped if logfmt needs that, so that a line stays one line.
fn write_value(out: &mut impl fmt::Write, value: &str) -> fmt::Result {
    let bare = !value.is_empty()
        && value
            .chars()
            .all(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '=' | '\\'));
    if bare {
        return out.write_str(value);
    }
    out.write_char('"')?;
    for c in value.chars() {
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_break_its_line_or_forge_a_key() {
        let mut out = String::new();
        write_value(&mut out, "x level=error\nmsg=\"forged\"").unwrap();
        assert_eq!(out, r#""x level=error\nmsg=\"forged\"""#);
        out.clear();
        write_value(&mut out, "plain-1.5s").unwrap();
        assert_eq!(out, "plain-1.5s");
    }

    #[test]
    fn libraries_log_from_warn_on() {
        let filter = filter(LevelFilter::DEBUG);
        assert!(!filter.would_enable("hyper::proto", &Level::DEBUG));
        assert!(filter.would_enable("hyper::proto", &Level::WARN));
        assert!(filter.would_enable("callmeter::sources", &Level::DEBUG));
    }
}
