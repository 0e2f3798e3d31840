//! Why a poll failed, and what that means for the next one.

use std::sync::Arc;
use std::time::Duration;

use api_client::ErrorKind;
use callmeter_journal::JournalError;
use hostedsuite_client::Shortfall;
use jiff::civil::Date;

use super::schedule::Outcome;

/// Why a poll failed. The texts contain no secret and nothing of a record.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// A request to the API failed.
    #[error(transparent)]
    Api(#[from] api_client::Error),
    /// The server did not return all records that it counts.
    #[error(transparent)]
    Incomplete(#[from] Shortfall),
    /// The server orders calls differently from page to page, so that some may be missing.
    #[error(
        "the order of calls changed from page to page, and {new} of them were new: reading again"
    )]
    Reordered {
        /// Calls of the reading that the journal did not have.
        new: u64,
    },
    /// A server that counts rows, or may do so, answers without rows and without a count.
    #[error("no calls came, and no count that says that there are none")]
    Unstated,
    /// Rows of a day cannot be read, so that their calls do not count.
    #[error("{rows} of its records cannot be read, such as {first}")]
    UnreadableRows {
        /// How many.
        rows: u64,
        /// Where one of them is, and what is wrong with it.
        first: String,
    },
    /// The server lists calls under a day that start far from it, so that they do not count.
    #[error(
        "{calls} of its calls start far from it, and do not count: correct their start times in \
         HostedSuite"
    )]
    CallsOutside {
        /// How many.
        calls: u64,
    },
    /// A day that had calls has none.
    #[error("had no calls, but the last reading had {before}")]
    Emptied {
        /// Calls of the reading before.
        before: u64,
    },
    /// Days could not be read to their ends; all others were.
    #[error("{day}{}", and_more(*more))]
    Days {
        /// The first of these days.
        day: Date,
        /// How many more there are.
        more: usize,
        /// Whether the poll read something.
        is_partial: bool,
        /// Why the first one could not be read.
        source: Arc<Self>,
    },
    /// A day that was asked for could not be read to its end.
    #[error(transparent)]
    Day(Arc<Self>),
    /// The end of the list could not be read.
    #[error("the newest calls")]
    Tail {
        /// Whether the poll read something.
        is_partial: bool,
        /// Why it could not.
        source: Box<Self>,
    },
    /// The journal did not accept the records.
    #[error("cannot write to the journal")]
    Journal(#[from] JournalError),
    /// A journaled batch cannot be counted: a bug in callmeter.
    #[error("cannot count a journaled batch")]
    Meter(#[from] callmeter_meter::ApplyError),
    /// A bug in callmeter, such as a panic.
    #[error("internal error: {0}")]
    Internal(String),
    /// The account is being stopped. This is not a failure.
    #[error("stopped")]
    Stopped,
}

/// How many more days failed, if any.
fn and_more(days: usize) -> String {
    match days {
        0 => String::new(),
        1 => " (and 1 more day)".to_owned(),
        _ => format!(" (and {days} more days)"),
    }
}

const INCOMPLETE: &str = "incomplete";
const JOURNAL: &str = "journal";
const METER: &str = "meter";
const INTERNAL: &str = "internal";

/// Every value of the label `reason` of failed polls.
pub(super) const REASONS: [&str; 18] = [
    ErrorKind::RefusedLogin.as_str(),
    ErrorKind::PermissionDenied.as_str(),
    ErrorKind::Validation.as_str(),
    ErrorKind::NotFound.as_str(),
    ErrorKind::Throttled.as_str(),
    ErrorKind::Server.as_str(),
    ErrorKind::Redirected.as_str(),
    ErrorKind::Timeout.as_str(),
    ErrorKind::Transport.as_str(),
    ErrorKind::Html.as_str(),
    ErrorKind::Unreadable.as_str(),
    ErrorKind::BodyTooLarge.as_str(),
    ErrorKind::Truncated.as_str(),
    ErrorKind::Local.as_str(),
    INCOMPLETE,
    JOURNAL,
    METER,
    INTERNAL,
];

impl PollError {
    /// The failure of a poll that panicked.
    pub(super) fn panicked(payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        Self::Internal(text.unwrap_or_else(|| "a panic without a message".to_owned()))
    }

    /// The value of the label `reason`.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Api(error) => error.kind().as_str(),
            Self::Incomplete(_)
            | Self::Reordered { .. }
            | Self::Emptied { .. }
            | Self::Unstated
            | Self::UnreadableRows { .. }
            | Self::CallsOutside { .. } => INCOMPLETE,
            Self::Days { source, .. } | Self::Day(source) => source.reason(),
            Self::Tail { source, .. } => source.reason(),
            Self::Journal(_) => JOURNAL,
            Self::Meter(_) => METER,
            Self::Internal(_) | Self::Stopped => INTERNAL,
        }
    }

    /// What it means for the schedule.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Api(error) if error.kind() == ErrorKind::RefusedLogin => Outcome::LoginRefused,
            Self::Api(error) if error.kind() == ErrorKind::PermissionDenied => {
                Outcome::PermissionDenied
            }
            Self::Days {
                is_partial: true, ..
            }
            | Self::Tail {
                is_partial: true, ..
            } => Outcome::Partial,
            _ => Outcome::Failed {
                retry_after: self.retry_after(),
            },
        }
    }

    /// Whether the same poll may succeed a little later without anyone's help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Api(error) => error.is_retryable(),
            // The list changed, or more of it is there a little later.
            Self::Incomplete(_)
            | Self::Reordered { .. }
            | Self::Emptied { .. }
            | Self::Unstated
            | Self::UnreadableRows { .. }
            | Self::CallsOutside { .. } => true,
            Self::Days { source, .. } | Self::Day(source) => source.is_transient(),
            Self::Tail { source, .. } => source.is_transient(),
            Self::Journal(error) => error.is_transient(),
            Self::Meter(_) | Self::Internal(_) | Self::Stopped => false,
        }
    }

    /// The wait that the server asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api(error) => error.retry_after(),
            Self::Days { source, .. } | Self::Day(source) => source.retry_after(),
            Self::Tail { source, .. } => source.retry_after(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_our_own_is_listed_and_each_once() {
        let errors = [
            PollError::Journal(JournalError::Exhausted),
            PollError::Incomplete(Shortfall::SamePage { rows: 1 }),
            PollError::Internal(String::new()),
        ];
        for error in errors {
            assert!(REASONS.contains(&error.reason()), "{error}");
        }
        let unique: std::collections::BTreeSet<_> = REASONS.iter().collect();
        assert_eq!(unique.len(), REASONS.len());
    }
}
