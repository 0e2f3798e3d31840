//! `cargo xtask demo`.

use crate::shell::{self, Error, Shell};
use crate::tools;

/// What the demo is built like, and told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Build with optimisation: slower to build, quicker to run
    #[arg(long)]
    release: bool,
    /// What `callmeter demo` is to be told; `-- --help` shows it
    #[arg(last = true, value_name = "ARGUMENT")]
    demo: Vec<String>,
}

pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> Result<(), Error> {
    tools::program("gcc", "gcc", "the journal's SQLite is compiled")?;
    let mut build = shell.cargo([
        "build",
        "--package",
        "callmeter",
        "--package",
        "callmeter-plugin-csv",
        "--package",
        "callmeter-plugin-webhook",
    ]);
    if arguments.release {
        build.arg("--release");
    }
    shell::run(&mut build)?;
    let program = shell.built(arguments.release).join("callmeter");
    shell::run(shell.command(program).arg("demo").args(&arguments.demo))
}
