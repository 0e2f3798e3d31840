//! The errors, and what callmeter does about each.

use std::io;
use std::path::PathBuf;

use callmeter_plugin_sdk::Fail;

/// Why a configuration cannot work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("say either `directory` or `file`")]
    Place,
    #[error("`{key}`: {problem}")]
    Path {
        key: &'static str,
        problem: &'static str,
    },
    #[error("`prefix`: {0}")]
    Prefix(&'static str),
    #[error("`compress` packs finished files: with `rotate: never` set `max_bytes` too")]
    Endless,
    #[error(
        "with `file`, everything goes into one plain file: drop `rotate`, `max_bytes` and `compress`, or use `directory`"
    )]
    OneFile,
}

/// Everything that is wrong with a configuration.
#[derive(Debug)]
pub(crate) struct ConfigErrors(pub(crate) Vec<ConfigError>);

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}

impl std::error::Error for ConfigErrors {}

/// Why writing failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CsvError {
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// After a failed sync it is unknown what is on disk, because pages may have been dropped.
    #[error("cannot sync {}: {source}; what was not synced before is written again", path.display())]
    Sync { path: PathBuf, source: io::Error },
    #[error("{} was removed while it was written; what was not synced before is written again", path.display())]
    Removed { path: PathBuf },
    #[error("{} was moved or replaced while it was written; what was not synced before is written again, to another file", path.display())]
    Moved { path: PathBuf },
    #[error("another program changed {}: it has {found} bytes, and {written} were written; what was not synced before is written again. Do not rotate it by copying and truncating", path.display())]
    Changed {
        path: PathBuf,
        found: u64,
        written: u64,
    },
    #[error("{} is in use by another output or another callmeter: give each its own `directory`, `prefix` or `file`", path.display())]
    Locked { path: PathBuf },
    #[error("{} exists and was not written by this output, so it is left as it is: move it away or name another `file`", path.display())]
    Foreign { path: PathBuf },
    #[error(
        "the file holds {holds}, this batch {found}: give the output one stream, or use `directory`"
    )]
    OtherStream { holds: String, found: String },
    #[error("{}: {problem}", path.display())]
    Directory {
        path: PathBuf,
        problem: &'static str,
    },
    #[error("{} is no state of a CSV output: {problem}; move it away to begin with new files", path.display())]
    State { path: PathBuf, problem: String },
}

pub(crate) type Result<T, E = CsvError> = std::result::Result<T, E>;

impl From<CsvError> for Fail {
    fn from(error: CsvError) -> Self {
        match error {
            // For example a full disk: the same batch may succeed later.
            CsvError::Io { .. } | CsvError::Locked { .. } => Self::retry(error),
            CsvError::OtherStream { .. } => Self::reject(error),
            CsvError::Sync { .. }
            | CsvError::Removed { .. }
            | CsvError::Moved { .. }
            | CsvError::Changed { .. }
            | CsvError::Foreign { .. }
            | CsvError::Directory { .. }
            | CsvError::State { .. } => Self::fatal(error),
        }
    }
}

/// Names what was done to which path when an I/O operation fails.
pub(crate) trait Context<T> {
    fn on(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn on(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|source| CsvError::Io {
            action,
            path: path.into(),
            source,
        })
    }
}

impl<T> Context<T> for rustix::io::Result<T> {
    fn on(self, action: &'static str, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(io::Error::from).on(action, path)
    }
}
