//! The specs under linters that nobody here wrote.

use crate::report::Outcome;
use crate::shell::{Error, Shell, run};
use crate::tools::{self, Node, REDOCLY, SPEC_VALIDATOR, SPECTRAL};

/// The specs, from the repository's root.
pub(crate) const SPECS: [&str; 2] = ["specs/hostedsuite.yaml", "specs/portsip.yaml"];

/// openapi-spec-validator, Redocly and Spectral. A linter that cannot be installed is skipped: the generator's own rules have run anyway.
pub(crate) fn specs(shell: &Shell) -> Outcome {
    let validator = match tools::python(shell, &[SPEC_VALIDATOR]) {
        Ok(programs) => run(shell
            .command(programs.join("openapi-spec-validator"))
            .args(SPECS))
        .into(),
        Err(error) => Outcome::Skipped(error.to_string()),
    };
    let linters = match Node::with(shell, &[REDOCLY, SPECTRAL]) {
        Ok(node) => redocly_and_spectral(shell, &node).into(),
        Err(error) => Outcome::Skipped(error.to_string()),
    };
    validator.and(linters)
}

fn redocly_and_spectral(shell: &Shell, node: &Node) -> Result<(), Error> {
    // It finds redocly.yaml, and in it the specs, where it is started.
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
