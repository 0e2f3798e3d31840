//! `cargo xtask codegen`: builds and runs the generator.

use crate::shell::{self, Error, Shell};

pub(crate) fn run(shell: &Shell, arguments: &[String]) -> Result<(), Error> {
    // Cargo unifies the features of the packages that it builds together. With `--workspace` they
    // are those of the tests' build, whose dependencies are then used again.
    shell::run(&mut shell.cargo(["build", "--quiet", "--workspace", "--bin=callmeter-codegen"]))?;
    let generator = shell.built(false).join("callmeter-codegen");
    shell::run(shell.command(generator).args(arguments))
}
