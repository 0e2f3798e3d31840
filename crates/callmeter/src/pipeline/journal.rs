//! Opens the journal, and turns its errors into failures of the program.

use callmeter_journal::{Journal, JournalError, Options, PostgresJournal};
use callmeter_meter::Limits;

use crate::config::{self, JournalPlace, SecretSource};
use crate::exit::Failure;
use callmeter_error_chain::chain;

/// Opens a journal for writing.
///
/// # Errors
/// [`Failure::Journal`], which says what to do.
pub fn open_journal(place: &JournalPlace) -> Result<Journal, Failure> {
    let opened = match place {
        JournalPlace::File(path) => Journal::open(path, &Options::default()),
        JournalPlace::Server(server) => {
            let url = SecretSource::File(server.url_file.clone()).read();
            let url = url.map_err(|error| Failure::Journal(chain(&error)))?;
            Journal::connect(&PostgresJournal {
                schema: server.schema.clone(),
                tls: server.tls,
                ca_file: server.ca_file.clone(),
                ..PostgresJournal::new(url.expose())
            })
        }
    };
    opened.map_err(journal_failure)
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
