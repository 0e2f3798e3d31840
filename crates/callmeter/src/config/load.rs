//! Reads and validates a configuration file.

use std::path::{Path, PathBuf};

use super::accounts::accounts;
use super::charges::charges;
use super::metrics::metrics;
use super::model::{Account, Api, Config, Journal, JournalPlace, JournalServer};
use super::outputs::{outputs, places};
use super::paths::usable_journal;
use super::secret::SecretSource;
use callmeter_journal::TlsMode;
use yaml_sections::Problems;
use yaml_sections::{ConfigError, Place, Problem};
use yaml_sections::{DAY, Section};

/// A configuration and what was found when it was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Where the settings of each output's plugin are.
    pub settings_places: Vec<Option<Place>>,
    /// What is valid but unwise.
    pub warnings: Vec<Problem>,
    /// The content of the file, from which the page `/config` is made.
    pub text: String,
    /// The file.
    pub file: PathBuf,
}

/// Reads and validates a configuration file. Its secret files and plugin libraries must exist.
///
/// # Errors
/// With every mistake in the file. After a YAML syntax error, only that one is known.
pub fn load(file: &Path) -> Result<Loaded, ConfigError> {
    load_to(file, true)
}

/// Reads and validates a configuration file for a command that works with stored data. Secrets and
/// plugin libraries need not exist.
///
/// # Errors
/// With every mistake in the file. After a YAML syntax error, only that one is known.
pub fn load_for_stored_data(file: &Path) -> Result<Config, ConfigError> {
    load_to(file, false).map(|loaded| loaded.config)
}

/// Reads the file for a program that polls and delivers, or only works with stored data.
fn load_to(file: &Path, connects: bool) -> Result<Loaded, ConfigError> {
    let unreadable = |error: String| {
        let message = format!("cannot read the configuration: {error}");
        let hint = "set its path with --config.file";
        ConfigError::whole(file, message, Some(hint.to_owned()))
    };
    let bytes = read_file_timeout::read_file(file, yaml_sections::MAX_FILE_BYTES)
        .map_err(|error| unreadable(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8".to_owned()))?;
    let parsed = parse(file, &text, connects)?;
    Ok(Loaded {
        config: parsed.config,
        settings_places: parsed.settings_places,
        warnings: parsed.warnings,
        text,
        file: file.to_path_buf(),
    })
}

/// Validates a text as the content of `file`, and returns its warnings.
///
/// # Errors
/// With every mistake in the text.
pub fn check_text(file: &Path, text: &str) -> Result<Vec<Problem>, ConfigError> {
    parse(file, text, true).map(|parsed| parsed.warnings)
}

pub(super) struct Parsed {
    pub(super) config: Config,
    settings_places: Vec<Option<Place>>,
    warnings: Vec<Problem>,
}

pub(super) fn parse(file: &Path, text: &str, connects: bool) -> Result<Parsed, ConfigError> {
    let root = yaml_sections::parse(file, text)?;
    let mut problems = Problems::new(file, text);
    problems.connects = connects;
    let config = Section::new(&problems, String::new(), &root).and_then(|mut root| {
        let accounts = accounts(&mut root);
        let charges = charges(&mut root, &accounts);
        let journal = journal(&mut root, &accounts);
        let outputs = outputs(&mut root, journal.as_ref());
        let metrics = metrics(&mut root);
        let places = places(&mut root);
        let config = Config {
            accounts,
            charges,
            journal: journal?,
            outputs,
            metrics: metrics?,
        };
        Some((config, places))
    });
    let (mistakes, warnings) = problems.finish();
    match config {
        Some((config, settings_places)) if mistakes.is_empty() => Ok(Parsed {
            config,
            settings_places,
            warnings,
        }),
        _ => Err(ConfigError::new(mistakes)),
    }
}

fn journal(root: &mut Section<'_>, accounts: &[Account]) -> Option<Journal> {
    let teach = "the file of all records, such as /var/lib/callmeter/journal.db";
    if root.node("journal").is_none() {
        let hint = format!("set journal.path: {teach}");
        root.mistake("journal", "is missing", Some(hint));
        return None;
    }
    let mut journal = root.section("journal")?;
    let keep = journal.duration("keep", 90 * DAY, DAY..=36_525 * DAY);
    for account in accounts {
        let lookback = match &account.api {
            Api::HostedSuite(api) => api.calls.as_ref().map(|calls| calls.lookback),
            Api::PortSip(_) => None,
        };
        if lookback.is_some_and(|lookback| lookback >= keep) {
            let message = format!(
                "is not longer than calls.lookback of account {}, which polls read again",
                account.name
            );
            let hint = "make keep longer than every lookback".to_owned();
            journal.mistake("keep", message, Some(hint));
        }
    }
    let max_bytes = journal.size("max_bytes", 10 << 30, 16 << 20..=1 << 50);
    let drop_undelivered = journal.boolean("drop_undelivered", false);
    let place = if journal.node("postgres").is_some() {
        if journal.node("path").is_some() {
            let hint = "keep one of path and postgres".to_owned();
            journal.mistake("path", "is another journal than postgres", Some(hint));
        }
        let server = journal.section("postgres")?;
        JournalPlace::Server(journal_server(server)?)
    } else {
        let path = journal.required("path", teach)?;
        let path = journal.path(&path);
        if let Err((message, hint)) = usable_journal(&path) {
            journal.mistake("path", message, Some(hint));
        }
        JournalPlace::File(path)
    };
    Some(Journal {
        place,
        keep,
        max_bytes,
        drop_undelivered,
    })
}

fn journal_server(mut server: Section<'_>) -> Option<JournalServer> {
    let teach = "the file with postgres://user:password@host:5432/database";
    let url_file = server.required("url_file", teach)?;
    let words = [
        ("disable", TlsMode::Disable),
        ("prefer", TlsMode::Prefer),
        ("require", TlsMode::Require),
        ("verify-ca", TlsMode::VerifyCa),
        ("verify-full", TlsMode::VerifyFull),
    ];
    let tls = server.text("tls");
    let ca_file = server.text("ca_file");
    let schema = server.text("schema");
    let url_file = server.path(&url_file);
    if server.problems().connects
        && let Err(error) = SecretSource::File(url_file.clone()).read()
    {
        server.mistake("url_file", error.to_string(), None);
    }
    Some(JournalServer {
        url_file,
        schema: schema.map_or_else(|| "callmeter".to_owned(), |schema| schema.value),
        tls: tls.and_then(|tls| server.word_of(&tls, &words)),
        ca_file: ca_file.map(|file| server.path(&file)),
    })
}
