//! `cargo xtask codegen`: the generator is a package of its own, because progenitor is heavy.

use crate::shell::{self, Error, Shell};

pub(crate) fn run(shell: &Shell, arguments: &[String]) -> Result<(), Error> {
    let mut command = shell.cargo(["run", "--quiet", "--package", "callmeter-codegen", "--"]);
    shell::run(command.args(arguments))
}

/// Whether the generated files are what the specs give, by the generator that the tests' build has left.
pub(crate) fn check_built(shell: &Shell) -> Result<(), Error> {
    let generator = shell.built(false).join("callmeter-codegen");
    if generator.exists() {
        shell::run(shell.command(generator).arg("--check"))
    } else {
        run(shell, &["--check".to_owned()])
    }
}
