//! `callmeter check-config`: checks a configuration.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use callmeter_plugin_host::{OutputSettings, Scrub};

use crate::charging;
use crate::config::{self, ConfigError, Loaded, Output, Problem, SecretSource};
use crate::exit::Failure;
use crate::pipeline::plugin_settings;
use crate::secret_redactor::SecretRedactor;
use crate::web;

/// Reads the files, prints warnings and a summary.
///
/// # Errors
/// [`Failure::Config`] with every mistake, [`Failure::WebConfig`].
pub fn run(file: &Path, web_config_file: Option<&Path>) -> Result<(), Failure> {
    let web = web_config_file.map(web::check);
    let loaded = config::load(file);
    // Both are checked before the first is refused.
    let web = match (&loaded, web) {
        (Err(_), Some(Err(refused))) => {
            eprintln!("callmeter: {refused}");
            None
        }
        (_, web) => web.transpose().map_err(Failure::WebConfig)?,
    };
    let loaded = loaded?;
    check_journal(&loaded)?;
    let decks = check_decks(&loaded)?;
    let plugins = check_plugins(&loaded)?;
    let warnings = loaded.warnings.iter().map(ToString::to_string);
    for warning in warnings
        .chain(decks)
        .chain(plugins)
        .chain(web.into_iter().flatten())
    {
        eprintln!("warning: {warning}");
    }
    let mut out = std::io::stdout().lock();
    let summary = loaded.config.summary();
    writeln!(out, "{}: valid: {summary}", file.display()).map_err(Failure::stdout)?;
    for entry in &loaded.config.charges {
        writeln!(out, "{}", charging::describe(entry)).map_err(Failure::stdout)?;
    }
    Ok(())
}

fn check_journal(loaded: &Loaded) -> Result<(), Failure> {
    let Some(file) = loaded.config.journal.place.file() else {
        return Ok(());
    };
    config::holds_no_other_file(file).map_err(|(message, hint)| {
        let problem = Problem {
            file: loaded.file.clone(),
            place: None,
            key: "journal.path".to_owned(),
            message,
            hint: Some(hint),
        };
        ConfigError::new(vec![problem]).into()
    })
}

/// Reads the deck files. A start does not fail without them, but calls would wait. Returns
/// warnings.
fn check_decks(loaded: &Loaded) -> Result<Vec<String>, Failure> {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    for (index, entry) in loaded.config.charges.iter().enumerate() {
        let config::Deck::File(path) = &entry.deck else {
            continue;
        };
        match charging::deck_of_file(path, &entry.rating) {
            Err(message) => {
                let key = format!("charges[{index}].deck");
                let known = loaded.warnings.iter().find(|warning| warning.key == key);
                problems.push(Problem {
                    file: loaded.file.clone(),
                    place: known.and_then(|warning| warning.place),
                    key,
                    message,
                    hint: None,
                });
            }
            Ok(found) => {
                let unreadable = found
                    .unreadable
                    .iter()
                    .map(|row| format!("{row}; not used"));
                let problems = found.built.problems.iter().map(ToString::to_string);
                let mut all = unreadable.chain(problems);
                let named = |text| format!("the deck {}: {text}", path.display());
                warnings.extend(all.by_ref().take(10).map(named));
                let unlisted = all.count();
                if unlisted > 0 {
                    warnings.push(named(format!("and {unlisted} more problems")));
                }
                if !found.built.deck.has_usable_rate() {
                    warnings.push(named("no rate can be used: calls wait".to_owned()));
                }
            }
        }
    }
    if problems.is_empty() {
        Ok(warnings)
    } else {
        Err(ConfigError::new(problems).into())
    }
}

/// Loads each output's plugin, in a process of its own, and lets it check the output's settings.
/// Returns warnings.
fn check_plugins(loaded: &Loaded) -> Result<Vec<String>, Failure> {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    for (index, output) in loaded.config.outputs.iter().enumerate() {
        match check_plugin(output) {
            Ok(found) => {
                let named = found.into_iter();
                warnings.extend(named.map(|text| format!("output {}: {text}", output.name)));
            }
            Err(message) => problems.push(Problem {
                file: loaded.file.clone(),
                place: loaded.settings_places.get(index).copied().flatten(),
                key: format!("outputs[{index}].config"),
                message: format!("output {}: {message}", output.name),
                hint: Some("`callmeter plugin check` shows the settings of a plugin".to_owned()),
            }),
        }
    }
    if problems.is_empty() {
        Ok(warnings)
    } else {
        Err(ConfigError::new(problems).into())
    }
}

fn check_plugin(output: &Output) -> Result<Vec<String>, String> {
    let redactor = Arc::new(SecretRedactor::new());
    let mut read = |source: &SecretSource| {
        let secret = redactor.read(source)?;
        Ok::<_, api_client::SecretError>(secret.expose().to_owned())
    };
    let config = config::resolve_plugin_secrets(&output.config, &mut read)?;
    let settings = OutputSettings {
        config: serde_json::Value::Object(config).to_string(),
        scrub: Scrub::new(move |text| redactor.scrub(text)),
        ..plugin_settings(output)
    };
    callmeter_plugin_host::check_settings(&settings)
}
