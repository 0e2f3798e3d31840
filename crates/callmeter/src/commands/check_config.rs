//! `callmeter check-config`: checks a configuration.

use std::io::Write as _;
use std::path::Path;

use crate::config::{self, Config};
use crate::exit::Failure;

/// Reads the file, prints warnings and a summary.
///
/// # Errors
/// [`Failure::Config`] with every mistake.
pub fn run(file: &Path) -> Result<(), Failure> {
    let loaded = config::load(file)?;
    for warning in &loaded.warnings {
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
