//! Opens the journal, and turns its errors into failures of the program.

use std::path::Path;

use callmeter_journal::{Journal, JournalError, Options};
use callmeter_meter::Limits;

use crate::config;
use crate::exit::Failure;
use callmeter_error_chain::chain;

/// Opens a journal for writing.
///
/// # Errors
/// [`Failure::Journal`], which says what to do.
pub fn open_journal(path: &Path) -> Result<Journal, Failure> {
    Journal::open(path, &Options::default()).map_err(journal_failure)
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to `map_err`")]
/// The failure of a program whose journal does not work.
pub fn journal_failure(error: JournalError) -> Failure {
    Failure::Journal(chain(&error))
}

/// How the meter counts, by the configuration.
pub fn meter_limits(metrics: &config::Metrics) -> Limits {
    Limits {
        label_sets: metrics.max_label_sets,
        short_abandon_ms: i64::try_from(metrics.short_abandon.as_millis()).unwrap_or(i64::MAX),
        operators: metrics.answered_by,
    }
}
