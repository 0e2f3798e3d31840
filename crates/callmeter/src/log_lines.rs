//! Writes an event as one line, with the keys of Prometheus' programs: `time`, `level`, `source`,
//! `msg`, then its fields. Secrets are removed from each text before it is quoted, so that a line
//! is valid whatever a secret is.

use std::fmt::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use callmeter_error_chain::deceives;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::secret_redactor::SecretRedactor;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// `time=… level=info source=… msg="…" key=value`
    Logfmt,
    /// One JSON object per line, with the keys `time`, `level`, `source`, `msg`
    Json,
}

/// Writes the lines of the log.
pub(crate) struct Lines {
    format: LogFormat,
    redactor: Arc<SecretRedactor>,
}

impl Lines {
    pub(crate) fn new(format: LogFormat, redactor: Arc<SecretRedactor>) -> Self {
        Self { format, redactor }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
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
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let metadata = event.metadata();
        let mut fields = Fields {
            redactor: &self.redactor,
            message: String::new(),
            others: Vec::new(),
        };
        event.record(&mut fields);
        let line = Line {
            time,
            level: *metadata.level(),
            source: source(metadata.file(), metadata.line()),
            message: fields.message,
            fields: fields.others,
        };
        match self.format {
            LogFormat::Logfmt => line.write_logfmt(&mut writer)?,
            LogFormat::Json => write!(writer, "{}", line.into_json())?,
        }
        writer.write_char('\n')
    }
}

/// Where in the program, such as `app.rs:12`.
fn source(file: Option<&str>, line: Option<u32>) -> String {
    let name = file.and_then(|file| Path::new(file).file_name());
    let name = name.map_or_else(|| "unknown".into(), |name| name.to_string_lossy());
    match line {
        Some(line) => format!("{name}:{line}"),
        None => name.into_owned(),
    }
}

/// The parts of a line.
struct Line {
    time: String,
    level: Level,
    source: String,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Line {
    fn write_logfmt(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let level = self.level.as_str().to_ascii_lowercase();
        write!(out, "time={} level={level} source=", self.time)?;
        write_value(out, &self.source)?;
        out.write_str(" msg=")?;
        write_value(out, &self.message)?;
        for (name, value) in &self.fields {
            write!(out, " {name}=")?;
            match value {
                Value::String(text) => write_value(out, text)?,
                other => write!(out, "{other}")?,
            }
        }
        Ok(())
    }

    /// The keys and the levels of Go's slog, as Prometheus' programs write them.
    fn into_json(self) -> String {
        let mut line = String::from("{");
        let first = [
            ("time", self.time),
            ("level", self.level.to_string()),
            ("source", self.source),
            ("msg", self.message),
        ];
        let first = first.map(|(name, text)| (name, Value::String(text)));
        let mut seen = Map::new();
        for (name, value) in first.into_iter().chain(self.fields) {
            // A key occurs once.
            if seen.insert(name.to_owned(), Value::Null).is_some() {
                continue;
            }
            if line.len() > 1 {
                line.push(',');
            }
            let name = Value::String(name.to_owned());
            // Writing to a String does not fail.
            let _ = write!(line, "{name}:{value}");
        }
        line.push('}');
        line
    }
}

/// Takes over the fields of an event.
struct Fields<'r> {
    redactor: &'r SecretRedactor,
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields<'_> {
    fn text(&mut self, field: &Field, text: &str) {
        let text = self.redactor.scrub(text);
        if field.name() == "message" {
            self.message = text;
        } else {
            self.others.push((field.name(), Value::String(text)));
        }
    }

    fn value(&mut self, field: &Field, value: Value) {
        self.others.push((field.name(), value));
    }
}

impl Visit for Fields<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, &callmeter_error_chain::chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }
}

/// Writes a value, quoted and escaped if logfmt needs that, so that a line stays one line.
fn write_value(out: &mut impl fmt::Write, value: &str) -> fmt::Result {
    let bare = !value.is_empty()
        && value
            .chars()
            .all(|c| !c.is_whitespace() && !deceives(c) && !matches!(c, '"' | '=' | '\\'));
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
            c if deceives(c) => write!(out, "\\u{:04x}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn a_value_cannot_break_its_line_or_forge_a_key() {
        let mut out = String::new();
        write_value(&mut out, "x level=error\nmsg=\"forged\"").unwrap();
        assert_eq!(out, r#""x level=error\nmsg=\"forged\"""#);
        out.clear();
        write_value(&mut out, "a\u{202e}b").unwrap();
        assert_eq!(out, "\"a\\u202eb\"");
        out.clear();
        write_value(&mut out, "plain-1.5s").unwrap();
        assert_eq!(out, "plain-1.5s");
    }

    /// What is written when some secrets are known that also occur in keys and numbers.
    fn written(format: LogFormat) -> String {
        let redactor = Arc::new(SecretRedactor::new());
        for secret in ["5", "msg", "INFO", "true", "hunter2"] {
            redactor.remember(&api_client::Secret::from(secret));
        }
        let out = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&out);
        let layer = tracing_subscriber::fmt::layer()
            .event_format(Lines::new(format, redactor))
            .with_writer(move || Shared(Arc::clone(&writer)));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!(
                count = 5,
                on = true,
                text = "x hunter2",
                msg = 1,
                "login \"5\"\n2"
            );
        });
        String::from_utf8(out.lock().unwrap().clone()).unwrap()
    }

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn json_has_the_keys_of_prometheus_and_stays_valid_whatever_a_secret_is() {
        let line = written(LogFormat::Json);
        let json: Map<String, Value> = serde_json::from_str(&line).unwrap();
        assert!(line.starts_with("{\"time\":\"2"), "{line}");
        assert_eq!(json["level"], "INFO");
        assert_eq!(json["msg"], "login \"***\"\n2");
        assert_eq!(json["count"], 5);
        assert_eq!(json["on"], true);
        assert_eq!(json["text"], "x ***");
        let source = json["source"].as_str().unwrap();
        assert!(source.starts_with("log_lines.rs:"), "{source}");
    }

    #[test]
    fn logfmt_has_the_same_keys() {
        let line = written(LogFormat::Logfmt);
        let (head, rest) = line.split_once(" source=log_lines.rs:").unwrap();
        assert!(head.starts_with("time=2") && head.ends_with("Z level=info"));
        let (_, rest) = rest.split_once(' ').unwrap();
        assert_eq!(
            rest,
            "msg=\"login \\\"***\\\"\\n2\" count=5 on=true text=\"x ***\" msg=1\n"
        );
    }
}
