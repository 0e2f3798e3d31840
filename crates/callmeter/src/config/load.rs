//! Reads and validates a configuration file.

use std::path::{Path, PathBuf};

use super::accounts::accounts;
use super::charges::charges;
use super::journal::journal;
use super::metrics::metrics;
use super::model::Config;
use super::outputs::{outputs, places};
use yaml_sections::Problems;
use yaml_sections::Section;
use yaml_sections::{ConfigError, Place, Problem};

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
