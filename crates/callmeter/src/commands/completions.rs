//! `callmeter completions`: prints completion scripts for shells.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::Failure;

/// Prints the script for a shell.
///
/// # Errors
/// If standard output cannot be written.
pub fn run(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "callmeter", &mut script);
    std::io::Write::write_all(&mut std::io::stdout(), &script).map_err(Failure::stdout)
}
