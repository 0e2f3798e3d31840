//! Why a poll failed, and what that means for the next one.

use api_client::ErrorKind;
use callmeter_journal::JournalError;

use super::schedule::Ending;

/// Why a poll failed. The texts hold no secret and nothing of a record.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// The API.
    #[error(transparent)]
    Api(#[from] api_client::Error),
    /// The journal did not take what the API gave.
    #[error("cannot journal: {0}")]
    Journal(#[from] JournalError),
    /// The meter did not take what the journal has: a defect of this program.
    #[error("cannot count a journaled batch: {0}")]
    Meter(#[from] callmeter_meter::ApplyError),
    /// Something of this program broke; the text is a panic's.
    #[error("internal failure: {0}")]
    Internal(String),
    /// The account is being stopped; this is no failure.
    #[error("stopped")]
    Stopped,
}

impl PollError {
    /// The failure that a panic is, with its words where they are words.
    pub(super) fn panicked(payload: &(dyn std::any::Any + Send)) -> Self {
        let words = payload
            .downcast_ref::<&str>()
            .map(|words| (*words).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        Self::Internal(words.unwrap_or_else(|| "a panic without words".to_owned()))
    }

    /// The value of the label `reason`.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Api(error) => error.kind().as_str(),
            Self::Journal(_) => "journal",
            Self::Meter(_) => "meter",
            Self::Internal(_) => "internal",
            Self::Stopped => "stopped",
        }
    }

    /// What follows for the schedule.
    pub(super) fn ending(&self) -> Ending {
        match self {
            Self::Api(error) => match error.kind() {
                ErrorKind::RefusedLogin => Ending::Refused,
                ErrorKind::PermissionDenied => Ending::Denied,
                _ => Ending::Failed {
                    retry_after: error.retry_after(),
                },
            },
            _ => Ending::Failed { retry_after: None },
        }
    }

    /// Whether the same may work a little later without anybody's help.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Api(error) => error.is_retryable(),
            Self::Journal(error) => error.is_transient(),
            Self::Meter(_) | Self::Internal(_) | Self::Stopped => false,
        }
    }

    /// How long the server asked to wait.
    pub fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Api(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether the API said that this user may not read this.
    pub fn is_permission_denied(&self) -> bool {
        matches!(self, Self::Api(error) if error.kind() == ErrorKind::PermissionDenied)
    }
}
