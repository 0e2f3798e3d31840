//! How the program ends: the exit codes that scripts and service managers rely on.

use std::fmt;
use std::process::ExitCode;

/// Why the program ends without having done its work. Each reason has an exit code of its own;
/// 0 is success and 2 a wrong command line (both given by the command line parser as well).
#[derive(Debug)]
pub enum Failure {
    /// 1: what was asked for failed while it ran; the text says why.
    Failed(String),
    /// 3: the configuration is not valid.
    Config(crate::config::ConfigError),
    /// 4: the journal cannot be opened, or another process holds it.
    Journal(String),
    /// 5: a check found damage (`journal verify`, `plugin check`).
    Damaged(String),
}

/// The exit codes as `--help` prints them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done, or stopped by SIGTERM or SIGINT after an orderly end
  1  failed while running; the last log line says why
  2  wrong command line
  3  configuration not valid; each mistake is printed with file, line, column and key
  4  journal cannot be opened, or another callmeter holds it
  5  a check found damage (journal verify, plugin check)";

impl Failure {
    /// A failure of the first kind from anything that has words.
    pub fn failed(error: impl fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// The exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Config(_) => 3,
            Self::Journal(_) => 4,
            Self::Damaged(_) => 5,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) | Self::Journal(text) | Self::Damaged(text) => f.write_str(text),
            Self::Config(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::Config(error)
    }
}
