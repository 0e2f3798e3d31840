//! Repository tasks. `cargo xtask --help` lists them; each has a help of its own.

mod bench;
mod ci;
mod codegen;
mod conformance;
mod demo;
mod lints;
mod report;
mod shell;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::shell::Shell;

/// Tasks of this repository.
///
/// Start with `cargo xtask demo` to see callmeter at work, `cargo xtask test` to run what CI's tests run. What a task needs and the machine
/// lacks is installed: system packages through apt (as root, or with sudo that asks no password), Python and Node packages under
/// target/xtask, nothing elsewhere.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write the API clients' generated files from specs/
    ///
    /// `--check` writes nothing and fails with a diff, `--only NAME` does one API; `cargo xtask codegen --help` has more.
    #[command(disable_help_flag = true)]
    Codegen {
        /// What the generator is to be told.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build callmeter with both plugins and run `callmeter demo`
    ///
    /// The demo brings up a simulated HostedSuite and PortSIP, polls both, and says where to look. It needs no configuration, no
    /// credentials and no network.
    Demo(demo::Arguments),
    /// Run all tests, with everything they need
    ///
    /// Unit, property and snapshot tests of every crate, the whole-program tests against the simulator and a real Prometheus, and the
    /// examples in the documentation.
    Test(test::Arguments),
    /// Everything that CI checks
    ///
    /// Formatting, licences and sources of dependencies, clippy with warnings denied, generated code, the specs under three linters, all
    /// tests, documentation with warnings denied, and conformance. All steps run even when one fails; the last lines say how each ended.
    Ci(ci::Arguments),
    /// Clients against a mock, the simulator against a fuzzer, both made from specs/ by others
    ///
    /// Prism mocks both APIs from the specs: the clients call every operation, then thousands of times with random bodies. Schemathesis
    /// reads the same specs and looks for answers of the simulator that break them.
    Conformance(conformance::Arguments),
    /// Run every benchmark and print one table
    Bench(bench::Arguments),
    /// Run the tests of the plugin boundary's unsafe code under Miri (needs a nightly toolchain)
    Miri,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = Shell::new().and_then(|shell| match arguments.task {
        Task::Codegen { arguments } => codegen::run(&shell, &arguments),
        Task::Demo(arguments) => demo::run(&shell, &arguments),
        Task::Test(arguments) => test::run(&shell, &arguments),
        Task::Ci(arguments) => ci::run(&shell, &arguments),
        Task::Conformance(arguments) => conformance::run(&shell, &arguments),
        Task::Bench(arguments) => bench::run(&shell, &arguments),
        Task::Miri => test::miri(&shell),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
