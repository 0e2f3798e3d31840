//! `cargo xtask demo`: builds callmeter with both plugins and runs its demo.

use crate::shell::{self, Error, Shell};
use crate::tools;

/// How the demo is built, and its own arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Build with optimisations: a slower build, a faster program
    #[arg(long)]
    release: bool,
    /// Arguments for `callmeter demo`; `-- --help` lists them
    #[arg(last = true, value_name = "ARGUMENT")]
    demo: Vec<String>,
}

pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> Result<(), Error> {
    tools::program("gcc", "gcc", "the journal's SQLite is compiled")?;
    // The SDK has these features in the tests' build: demo and tests share what is compiled.
    let mut build = shell.cargo([
        "build",
        "--package=callmeter",
        "--package=callmeter-plugin-csv",
        "--package=callmeter-plugin-webhook",
        "--package=callmeter-plugin-sdk",
        "--features=callmeter-plugin-sdk/arrow-60,callmeter-plugin-sdk/tracing",
    ]);
    if arguments.release {
        build.arg("--release");
    }
    shell::run(&mut build)?;
    let program = shell.built(arguments.release).join("callmeter");
    shell::run(shell.command(program).arg("demo").args(&arguments.demo))
}
