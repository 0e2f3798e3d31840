//! `callmeter man`: writes man pages from the definition of the command line.

use std::path::Path;

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::exit::Failure;

/// Writes `callmeter.1` and a page for each command, such as `callmeter-run.1`.
///
/// # Errors
/// If the directory is missing or cannot be written.
pub fn run(directory: &Path) -> Result<(), Failure> {
    let command = Cli::command().version(crate::build::VERSION);
    clap_mangen::generate_to(command, directory)
        .map_err(|error| Failure::failed(format!("{}: {error}", directory.display())))
}
