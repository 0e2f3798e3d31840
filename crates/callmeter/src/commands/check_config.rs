//! `callmeter check-config`: checks a configuration.

use std::io::Write as _;
use std::path::Path;

use callmeter_plugin_host::OutputSettings;

use crate::config::{self, Config, ConfigError, Loaded, Output, Problem, SecretSource};
use crate::exit::Failure;
use crate::pipeline::plugin_settings;

/// Reads the file, prints warnings and a summary.
///
/// # Errors
/// [`Failure::Config`] with every mistake.
pub fn run(file: &Path) -> Result<(), Failure> {
    let loaded = config::load(file)?;
    check_plugins(&loaded)?;
    for warning in &loaded.warnings {
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

/// Loads each output's plugin, in a process of its own, and checks the output's settings against
/// the plugin's JSON Schema.
fn check_plugins(loaded: &Loaded) -> Result<(), Failure> {
    let mut problems = Vec::new();
    for (index, output) in loaded.config.outputs.iter().enumerate() {
        if let Err(message) = check_plugin(output) {
            problems.push(Problem {
                file: loaded.file.clone(),
                place: None,
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
