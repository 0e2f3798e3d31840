//! Opens the journal, wherever the configuration says that it is, and turns its errors into
//! failures of the program.

use callmeter_journal::{Journal, JournalError, Options, PostgresJournal, Reader};
use callmeter_meter::Limits;

use crate::config::{self, JournalPlace, JournalServer, JournalUrl};
use crate::exit::Failure;
use crate::secret_redactor::SecretRedactor;
use callmeter_error_chain::chain;

/// Opens a journal for writing. Not for a task of an asynchronous runtime, as all that is done with
/// a journal.
///
/// # Errors
/// [`Failure::Journal`], which says what to do.
pub fn open_journal(place: &JournalPlace, redactor: &SecretRedactor) -> Result<Journal, Failure> {
    match place {
        JournalPlace::File(path) => Journal::open(path, &Options::default()),
        JournalPlace::Server(server) => Journal::connect(&connection(server, redactor)?),
    }
    .map_err(journal_failure)
}

/// Opens a journal for reading.
///
/// # Errors
/// [`Failure::Journal`], which says what to do.
pub fn read_journal(place: &JournalPlace) -> Result<Reader, Failure> {
    match place {
        JournalPlace::File(path) => Reader::open(path),
        JournalPlace::Server(server) => {
            Reader::connect(&connection(server, &SecretRedactor::new())?)
        }
    }
    .map_err(journal_failure)
}

/// How the server of a journal is reached. Its URL, and the password in it, are remembered as
/// secrets.
///
/// # Errors
/// [`Failure::Journal`] if the URL cannot be read.
pub fn connection(
    server: &JournalServer,
    redactor: &SecretRedactor,
) -> Result<PostgresJournal, Failure> {
    let url = match &server.url {
        JournalUrl::Open(url) => url.clone(),
        JournalUrl::Secret(source) => {
            let unreadable = |error| Failure::Journal(format!("the journal's URL: {error}"));
            let secret = redactor.read(source).map_err(unreadable)?;
            secret.expose().to_owned()
        }
    };
    let journal = PostgresJournal {
        schema: server.schema.clone(),
        tls: server.tls,
        ca_file: server.ca_file.clone(),
        ..PostgresJournal::new(url)
    };
    // Errors may have the password without the rest, as it is or as a URL has it.
    let written = url::Url::parse(&journal.url).ok();
    let written = written.and_then(|url| url.password().map(str::to_owned));
    for password in journal.password().into_iter().chain(written) {
        redactor.remember(&password.into());
    }
    Ok(journal)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SecretSource;

    #[test]
    fn the_url_of_a_server_and_its_password_are_secrets() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("url");
        let url = "postgres://u:hunter%402@127.0.0.1:1/calls";
        std::fs::write(&file, format!("{url}\n")).unwrap();
        let server = JournalServer {
            url: JournalUrl::Secret(SecretSource::File(file)),
            schema: "callmeter".to_owned(),
            tls: None,
            ca_file: None,
            directory: directory.path().to_owned(),
        };
        let redactor = SecretRedactor::new();
        assert_eq!(connection(&server, &redactor).unwrap().url, url);
        let text = format!("{url} hunter%402 hunter@2");
        let shown = redactor.scrub(&text);
        assert!(!shown.contains("hunter"), "{shown}");
        // Nobody answers there.
        let place = JournalPlace::Server(Box::new(server));
        let refused = open_journal(&place, &redactor).unwrap_err().to_string();
        assert!(
            refused.contains("postgres://127.0.0.1:1/calls, schema callmeter"),
            "{refused}"
        );
        assert!(!refused.contains("hunter"), "{refused}");
    }
}
