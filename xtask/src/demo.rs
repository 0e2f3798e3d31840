//! `cargo xtask demo`.

use crate::shell::{self, Error, Shell};

/// What the demo is built like, and told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Build without optimisation: quicker to build, slower to run
    #[arg(long)]
    dev: bool,
    /// What `callmeter demo` is to be told; `-- --help` shows it
    #[arg(last = true, value_name = "ARGUMENT")]
    demo: Vec<String>,
}

pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> Result<(), Error> {
    let mut build = shell.cargo([
        "build",
        "--package",
        "callmeter",
        "--package",
        "callmeter-plugin-csv",
        "--package",
        "callmeter-plugin-webhook",
    ]);
    if !arguments.dev {
        build.arg("--release");
    }
    shell::run(&mut build)?;
    let program = shell.built(!arguments.dev).join("callmeter");
    shell::run(shell.command(program).arg("demo").args(&arguments.demo))
}
