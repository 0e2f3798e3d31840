//! `cargo xtask test` and `cargo xtask miri`: run the tests and install what they need.

use std::process::Command;

use crate::shell::{self, Error, Shell, run_keeping, succeeds};
use crate::tools;

/// Which tests.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only this package; may be given several times
    #[arg(short, long, value_name = "NAME")]
    package: Vec<String>,
    /// Leave out the examples in the documentation
    #[arg(long)]
    no_doc: bool,
    /// Arguments for the test runner: names of tests, or flags
    #[arg(last = true, value_name = "ARGUMENT")]
    runner: Vec<String>,
}

/// Programs that tests run: the program, its Debian package, and the reason.
const PROGRAMS: [(&str, &str, &str); 4] = [
    (
        "gcc",
        "gcc",
        "the journal's SQLite and a plugin in C are compiled",
    ),
    ("g++", "g++", "the plugins' header is compiled as C++"),
    (
        "prometheus",
        "prometheus",
        "a real Prometheus scrapes the exporter",
    ),
    (
        "chromium",
        "chromium",
        "a test opens the status page in a browser",
    ),
];

pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> Result<(), Error> {
    programs()?;
    let (tests, unit) = unit(shell, &arguments.package, &arguments.runner);
    let (examples, documentation) = if arguments.no_doc || !arguments.runner.is_empty() {
        (Ok(()), Vec::new())
    } else {
        documentation(shell, &arguments.package)
    };
    Summaries {
        unit,
        documentation,
    }
    .print();
    tests.and(examples)
}

/// Finds or installs the programs that tests run.
pub(crate) fn programs() -> Result<(), Error> {
    for (name, package, why) in PROGRAMS {
        tools::program(name, package, why)?;
    }
    // Its programs are not on the path.
    tools::file_of_package(
        |version| version.join("bin/initdb"),
        "/usr/lib/postgresql",
        "postgresql",
        "the journal is tested on a server",
    )
}

/// The result of a run, and its summary lines.
pub(crate) type Summed = (Result<(), Error>, Vec<String>);

/// The summaries of both runs of tests.
#[derive(Debug, Default)]
pub(crate) struct Summaries {
    /// Of unit and whole-program tests.
    pub(crate) unit: Vec<String>,
    /// Of the examples in the documentation.
    pub(crate) documentation: Vec<String>,
}

impl Summaries {
    /// Prints the summaries again, for readers of the end of a log.
    pub(crate) fn print(&self) {
        for line in self.documentation.iter().chain(&self.unit) {
            println!("{}", line.trim_start());
        }
    }
}

/// Unit, property, snapshot and whole-program tests, with nextest if it is installed.
pub(crate) fn unit(shell: &Shell, packages: &[String], arguments: &[String]) -> Summed {
    let selection = selection(packages);
    // The whole-program tests load the plugins' libraries, which cargo does not build for a test.
    // `--tests` selects the same features as the tests' own build.
    let mut build = shell.cargo(["build", "--lib", "--bins", "--tests"]);
    if let Err(error) = shell::run(build.args(&selection)) {
        return (Err(error), Vec::new());
    }
    if succeeds(&mut shell.cargo(["nextest", "--version"])) {
        let mut command = shell.cargo(["nextest", "run", "--no-fail-fast"]);
        run_keeping(command.args(&selection).args(arguments), |line| {
            line.trim_start().starts_with("Summary [")
        })
    } else {
        let mut command = shell.cargo(["test", "--lib", "--bins", "--tests", "--no-fail-fast"]);
        let (result, lines) = run_keeping(command.args(&selection).args(arguments), is_result);
        (result, total("tests", &lines))
    }
}

/// Builds plugins as their authors do: the steps of `docs/PLUGINS.md`, the template, and a plugin
/// with another compiler and another version of arrow.
pub(crate) fn authors(shell: &Shell) -> Result<(), Error> {
    nightly(&[])?;
    shell::run(&mut shell.cargo([
        "test",
        "--workspace",
        "--test=new_author",
        "--test=mixed_builds",
        "--",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ]))
}

/// The examples in the documentation.
pub(crate) fn documentation(shell: &Shell, packages: &[String]) -> Summed {
    let mut command = shell.cargo(["test", "--doc", "--no-fail-fast"]);
    let (result, lines) = run_keeping(command.args(selection(packages)), is_result);
    (result, total("examples", &lines))
}

fn selection(packages: &[String]) -> Vec<String> {
    if packages.is_empty() {
        vec!["--workspace".to_owned()]
    } else {
        packages
            .iter()
            .map(|name| format!("--package={name}"))
            .collect()
    }
}

/// Whether a line is cargo's summary of one test program.
pub(crate) fn is_result(line: &str) -> bool {
    line.starts_with("test result: ")
}

/// How many tests passed according to these summaries.
pub(crate) fn passed(lines: &[String]) -> u64 {
    count(lines, "passed")
}

fn count(lines: &[String], word: &str) -> u64 {
    lines
        .iter()
        .flat_map(|line| line.split(['.', ';']))
        .filter_map(|part| part.trim().strip_suffix(word)?.trim().parse::<u64>().ok())
        .sum()
}

/// Adds up the summaries of a run, in cargo's form.
fn total(what: &str, lines: &[String]) -> Vec<String> {
    let [passed, failed, ignored] = ["passed", "failed", "ignored"].map(|word| count(lines, word));
    let word = if failed == 0 { "ok" } else { "FAILED" };
    vec![format!(
        "test result: {word}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; 0 filtered out ({what})"
    )]
}

/// Installs the nightly toolchain with these components unless it is installed.
fn nightly(components: &[&str]) -> Result<(), Error> {
    let works =
        |arguments: &[&str]| succeeds(Command::new("cargo").arg("+nightly").args(arguments));
    if works(&["--version"]) && (components.is_empty() || works(&["miri", "--version"])) {
        return Ok(());
    }
    let mut install = Command::new("rustup");
    install.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
    for component in components {
        install.args(["--component", component]);
    }
    shell::run(&mut install)
}

/// Runs the tests of the crates with unsafe code under Miri.
pub(crate) fn miri(shell: &Shell) -> Result<(), Error> {
    nightly(&["miri", "rust-src"])?;
    shell::run(
        Command::new("cargo")
            .arg("+nightly")
            .current_dir(&shell.root)
            .env("CARGO_TARGET_DIR", shell.tools().join("miri"))
            .env("MIRIFLAGS", "-Zmiri-disable-isolation")
            .args([
                "miri",
                "test",
                "--package",
                "callmeter-plugin-abi",
                "--package",
                "callmeter-plugin-sdk",
                "--lib",
            ]),
    )
}

#[cfg(test)]
mod tests {
    use super::total;

    #[test]
    fn results_are_added_up() {
        let lines = [
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.02s",
            "test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.02s",
        ]
        .map(ToOwned::to_owned);
        assert_eq!(
            total("examples", &lines),
            [
                "test result: FAILED. 13 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out (examples)"
            ]
        );
    }
}
