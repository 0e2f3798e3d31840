//! Why the program fails, and the exit codes for scripts and service managers.

use std::fmt;
use std::process::ExitCode;

/// Why the program failed. Each reason has an exit code; 0 is success.
#[derive(Debug)]
pub enum Failure {
    /// 1: the command failed; the text says why.
    Failed(String),
    /// 2: the command line is not valid in a way that its parser does not see.
    Usage(String),
    /// 3: the configuration is not valid.
    Config(crate::config::ConfigError),
    /// 3: the web configuration is not valid.
    WebConfig(crate::web::AccessError),
    /// 4: the journal cannot be opened, or another process has locked it.
    Journal(String),
    /// 5: a check failed (`journal verify`, `plugin check`, `plugin list`, `dead-letters`).
    Damaged(String),
    /// 0: the reader of standard output has what it wants, such as `head`. No failure.
    ReaderGone,
}

/// The exit codes as `--help` prints them.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  success, or an orderly shutdown by SIGTERM or SIGINT
  1  failed while running; the last log line says why
  2  invalid command line
  3  invalid configuration; each mistake is printed with file, line, column and key
  4  the journal cannot be opened, or another process has locked it
  5  a check failed (journal verify, plugin check, plugin list, dead-letters)";

impl Failure {
    /// A failure with exit code 1.
    pub fn failed(error: impl fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// A failure with exit code 2.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    /// Standard output cannot be written.
    #[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
    pub fn stdout(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::ReaderGone
        } else {
            Self::Failed(format!("cannot write to standard output: {error}"))
        }
    }

    /// The exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::ReaderGone => 0,
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Config(_) | Self::WebConfig(_) => 3,
            Self::Journal(_) => 4,
            Self::Damaged(_) => 5,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) | Self::Usage(text) | Self::Journal(text) | Self::Damaged(text) => {
                f.write_str(text)
            }
            Self::Config(error) => write!(f, "{error}"),
            Self::ReaderGone => f.write_str("the reader of standard output is gone"),
            Self::WebConfig(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::Config(error)
    }
}
