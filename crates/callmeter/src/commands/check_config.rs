//! `callmeter check-config`: checks a configuration.

use std::io::Write as _;
use std::path::Path;

use crate::config::{self, Config};
use crate::exit::Failure;
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
    .map_err(Failure::failed)
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
