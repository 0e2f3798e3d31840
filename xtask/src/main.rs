//! Repository tasks. `cargo xtask --help` lists them.

mod bench;
mod book;
mod ci;
mod codegen;
mod conformance;
mod demo;
mod dist;
mod lints;
mod mixin;
mod packages;
mod report;
mod shell;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::shell::Shell;

/// Tasks of this repository
///
/// `cargo xtask demo` shows callmeter at work; `cargo xtask test` runs all tests. A task installs
/// the programs that it needs: Debian packages with apt (as root, or with sudo without a password),
/// Rust toolchains and components with rustup, everything else under target/xtask.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write the generated files of the API clients from specs/
    ///
    /// `cargo xtask codegen --help` lists the options, such as `--check`.
    #[command(disable_help_flag = true)]
    Codegen {
        /// Arguments for the generator
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Write alerts, recording rules and dashboards to mixin/
    ///
    /// With `--check`, write nothing and fail if a file is not up to date. The tests of the package
    /// callmeter-mixin run promtool over the files.
    #[command(disable_help_flag = true)]
    Mixin {
        /// Arguments for the writer
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build callmeter with both plugins and run `callmeter demo`
    ///
    /// The demo simulates HostedSuite and PortSIP, polls both, and prints the URLs of its pages. It
    /// needs no configuration, no credentials and no network.
    Demo(demo::Arguments),
    /// Run all tests and install what they need
    ///
    /// Unit, property and snapshot tests of every crate, whole-program tests with the simulator and
    /// Prometheus, tests of the source tree, and the examples in the documentation.
    Test(test::Arguments),
    /// Run every check of CI
    ///
    /// All steps run even if one fails; the last lines show how each ended. A step whose tool is
    /// missing installs it or fails. Only the check of security advisories is skipped if their
    /// database cannot be downloaded.
    Ci(ci::Arguments),
    /// Make the packages of a release in target/dist
    ///
    /// An archive, a Debian package, an RPM package, an image, the list of all crates (SBOM) and
    /// checksums. `--check` installs and runs them in a clean Debian; it needs root.
    Dist(dist::Arguments),
    /// Check the clients and the simulator against specs/ with Prism and Schemathesis
    ///
    /// Prism mocks both APIs: the clients call every operation, then make thousands of calls with
    /// random answers. Schemathesis looks for answers of the simulator that break the specs.
    Conformance(conformance::Arguments),
    /// Run every benchmark and print one table
    Bench(bench::Arguments),
    /// Run the tests of the plugin boundary's unsafe code under Miri
    Miri,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = Shell::new().and_then(|shell| match arguments.task {
        Task::Codegen { arguments } => codegen::run(&shell, &arguments),
        Task::Mixin { arguments } => mixin::run(&shell, &arguments),
        Task::Demo(arguments) => demo::run(&shell, &arguments),
        Task::Test(arguments) => test::run(&shell, &arguments),
        Task::Ci(arguments) => ci::run(&shell, &arguments),
        Task::Dist(arguments) => dist::run(&shell, &arguments),
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
