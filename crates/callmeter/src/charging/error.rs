//! Why calls are not charged at the moment.

use callmeter_journal::JournalError;
use callmeter_meter::ApplyError;
use callmeter_rating::OptionsError;
use callmeter_records::ViewError;

/// Why calls are not charged at the moment. They wait; nothing is lost.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChargingError {
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An option of the rating cannot be used.
    #[error("rating: {0}")]
    Options(#[from] OptionsError),
    /// A batch does not have the columns of its stream: a bug in callmeter.
    #[error(transparent)]
    View(#[from] ViewError),
    /// A batch cannot be counted: a bug in callmeter.
    #[error(transparent)]
    Count(#[from] ApplyError),
}
