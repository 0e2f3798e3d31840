//! Checks the specs with independent linters.

use crate::shell::{Error, Shell, run};
use crate::tools::{self, Node, REDOCLY, SPEC_VALIDATOR, SPECTRAL};

/// The specs' paths from the repository's root.
pub(crate) const SPECS: [&str; 2] = ["specs/hostedsuite.yaml", "specs/portsip.yaml"];

/// Runs openapi-spec-validator, Redocly and Spectral.
pub(crate) fn specs(shell: &Shell) -> Result<(), Error> {
    let programs = tools::python(shell, &[SPEC_VALIDATOR])?;
    run(shell
        .command(programs.join("openapi-spec-validator"))
        .args(SPECS))?;
    redocly_and_spectral(shell, &Node::with(shell, &[REDOCLY, SPECTRAL])?)
}

fn redocly_and_spectral(shell: &Shell, node: &Node) -> Result<(), Error> {
    // It reads redocly.yaml, which lists the specs, from the current directory.
    run(node
        .command("redocly")
        .current_dir(shell.root.join("specs"))
        .arg("lint"))?;
    run(node
        .command("spectral")
        .current_dir(&shell.root)
        .args([
            "lint",
            "--ruleset",
            "specs/.spectral.yaml",
            "--fail-severity",
            "hint",
        ])
        .args(SPECS))
}
