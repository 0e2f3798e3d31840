//! `callmeter check-config`: checks a configuration.

use std::io::Write as _;
use std::path::Path;

use callmeter_plugin_host::OutputSettings;

use crate::config::{self, Config, ConfigError, Loaded, Output, Problem, SecretSource};
use crate::exit::Failure;
use crate::pipeline::plugin_settings;
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
    check_plugins(&loaded)?;
    let warnings = loaded.warnings.iter().map(ToString::to_string);
    for warning in warnings.chain(web.into_iter().flatten()) {
        eprintln!("warning: {warning}");
    }
    writeln!(
        std::io::stdout(),
        "{}: {}",
        file.display(),
        summary(&loaded.config)
    )
    .map_err(Failure::stdout)
}

fn check_journal(loaded: &Loaded) -> Result<(), Failure> {
    let refused = config::holds_no_other_file(&loaded.config.journal.path);
    refused.map_err(|(message, hint)| {
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

/// Loads each output's plugin, in a process of its own, and lets it check the output's settings.
fn check_plugins(loaded: &Loaded) -> Result<(), Failure> {
    let mut problems = Vec::new();
    for (index, output) in loaded.config.outputs.iter().enumerate() {
        if let Err(message) = check_plugin(output) {
            problems.push(Problem {
                file: loaded.file.clone(),
                place: loaded.settings_places.get(index).copied().flatten(),
                key: format!("outputs[{index}].config"),
                message: format!("output {}: {message}", output.name),
                hint: Some("`callmeter plugin check` shows the settings of a plugin".to_owned()),
            });
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(ConfigError::new(problems).into())
    }
}

fn check_plugin(output: &Output) -> Result<(), String> {
    let mut read = |source: &SecretSource| source.read().map(|secret| secret.expose().to_owned());
    let config = config::resolve_plugin_secrets(&output.config, &mut read)?;
    let settings = OutputSettings {
        config: serde_json::Value::Object(config).to_string(),
        ..plugin_settings(output)
    };
    callmeter_plugin_host::check_settings(&settings)
}

fn summary(config: &Config) -> String {
    let count = |number: usize, word: &str| match number {
        1 => format!("1 {word}"),
        number => format!("{number} {word}s"),
    };
    format!(
        "valid: {}, {}",
        count(config.accounts.len(), "account"),
        count(config.outputs.len(), "output")
    )
}
