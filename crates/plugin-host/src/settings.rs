//! The settings of an output.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use callmeter_error_chain::one_line;
use callmeter_plugin_abi::InitFn;
use callmeter_records::Stream;

use crate::dead_letters::DeadLetters;
use crate::file::Trust;

/// Where a plugin runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// In a child process: a crash, an `exit` or a hang of the plugin ends only the child.
    #[default]
    Process,
    /// In callmeter itself: a crash of the plugin ends callmeter.
    None,
}

impl Isolation {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::None => "none",
        }
    }
}

/// Where a plugin comes from.
#[derive(Clone)]
pub enum PluginSource {
    /// A file.
    File {
        /// Its absolute path.
        path: PathBuf,
        /// The SHA-256 that it must have, in hexadecimal, if it is pinned.
        sha256: Option<String>,
        /// Who may own it.
        trust: Trust,
    },
    /// A plugin that is linked into this program, by its `init` function. It cannot be isolated.
    Static(InitFn),
}

impl PluginSource {
    /// The plugin's file; empty for a plugin that is linked statically.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File { path, .. } => path,
            Self::Static(_) => Path::new(""),
        }
    }
}

impl fmt::Debug for PluginSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "{}", path.display()),
            Self::Static(_) => f.write_str("static"),
        }
    }
}

/// An output: a plugin, its configuration and its streams.
#[derive(Clone)]
pub struct OutputSettings {
    /// The name, which its cursors, metrics and dead letters use.
    pub name: String,
    /// The plugin.
    pub source: PluginSource,
    /// The streams it gets.
    pub streams: Vec<Stream>,
    /// The plugin's configuration as JSON, including secrets. Never logged.
    pub config: String,
    /// Where the plugin runs.
    pub isolation: Isolation,
    /// Where refused batches go.
    pub dead_letters: DeadLetters,
    /// Bounds and times.
    pub limits: Limits,
    /// The command that runs [`child_main`](crate::child_main), for [`Isolation::Process`]:
    /// program, then arguments. Empty: this program with the argument `plugin-child`.
    pub child_command: Vec<std::ffi::OsString>,
    /// Removes secrets from what the plugin says before it is logged, shown or stored.
    pub scrub: Scrub,
}

/// Removes secrets from a text of a plugin, which is one line afterwards.
#[derive(Clone)]
pub struct Scrub(Arc<dyn Fn(&str) -> String + Send + Sync>);

impl Scrub {
    /// Scrubs with this function.
    pub fn new(scrub: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(scrub))
    }

    pub(crate) fn scrub(&self, text: &str) -> String {
        // Before, because a secret may have line breaks; and again, because characters that are
        // left out may have parted one.
        (self.0)(&one_line(&(self.0)(text)))
    }
}

impl fmt::Debug for Scrub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrub")
    }
}

impl Default for Scrub {
    /// Removes nothing.
    fn default() -> Self {
        Self::new(str::to_owned)
    }
}

impl fmt::Debug for OutputSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputSettings")
            .field("name", &self.name)
            .field("source", &self.source)
            .field("streams", &self.streams)
            .field("isolation", &self.isolation)
            .finish_non_exhaustive()
    }
}

/// Bounds and times of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Batches that may be accepted and not yet durable.
    pub unflushed_batches: usize,
    /// Bytes, as Arrow holds them in memory, that may be accepted and not yet durable.
    pub unflushed_bytes: usize,
    /// A batch is flushed at the latest this long after it was accepted.
    pub flush_every: Duration,
    /// When no batch is waiting, a flush still waits this long for more. The pages of a poll follow
    /// each other, and then share the cost of one flush.
    pub linger: Duration,
    /// The time limit of a flush.
    pub flush_within: Duration,
    /// A call that takes longer is shown as hung and is asked to return.
    pub call_timeout: Duration,
    /// A child process that has still not returned after this further time is killed.
    pub kill_after: Duration,
    /// The wait after the first failure. It doubles with each further one.
    pub retry_least: Duration,
    /// The longest wait.
    pub retry_most: Duration,
    /// The output is down after this many failures in a row.
    pub failures_until_down: u32,
    /// The output is down while it waits for another attempt and nothing became durable for this
    /// long after the first failure. A server may ask for a wait of an hour.
    pub down_after: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            unflushed_batches: 64,
            unflushed_bytes: 64 << 20,
            flush_every: Duration::from_secs(5),
            linger: Duration::from_millis(200),
            flush_within: Duration::from_secs(30),
            call_timeout: Duration::from_secs(60),
            kill_after: Duration::from_secs(10),
            retry_least: Duration::from_millis(500),
            retry_most: Duration::from_secs(60),
            failures_until_down: 3,
            down_after: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Scrub;

    #[test]
    fn a_secret_is_found_before_and_after_a_text_becomes_one_line() {
        let scrub = Scrub::new(|text| text.replace("two\nlines", "***").replace("hunter2", "***"));
        assert_eq!(
            scrub.scrub("two\nlines, hun\u{202e}ter2\nand more"),
            "***, *** and more"
        );
    }
}
