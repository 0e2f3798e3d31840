//! `cargo xtask ci`: every check, in the order that finds mistakes soonest, sharing one build where cargo lets it.

use std::process::Command;

use crate::report::{Outcome, Report};
use crate::shell::{Error, Shell, output, run as run_command, succeeds};
use crate::test::{self, Summaries};
use crate::{codegen, conformance, lints, tools};

/// How strict.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Fail when a step had to be skipped, too
    #[arg(long)]
    strict: bool,
    /// Only this step; may be given several times
    #[arg(long, value_name = "STEP", value_parser = STEPS)]
    only: Vec<String>,
}

/// The steps, in their order.
const STEPS: [&str; 13] = [
    "format",
    "dependencies",
    "clippy",
    "programs",
    "tests",
    "examples",
    "authors",
    "codegen",
    "specs",
    "documentation",
    "oldest-rust",
    "prism",
    "schemathesis",
];

pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> Result<(), Error> {
    let mut report = Report::only(&arguments.only);
    report.step("format", || format(shell).into());
    report.step("dependencies", || dependencies(shell));
    report.step("clippy", || clippy(shell).into());
    report.step("programs", || test::programs().into());

    let mut summaries = Summaries::default();
    report.step("tests", || {
        let (result, summary) = test::unit(shell, &[], &[]);
        summaries.unit = summary;
        result.into()
    });
    report.step("examples", || {
        let (result, summary) = test::documentation(shell, &[]);
        summaries.documentation = summary;
        result.into()
    });
    report.step("authors", || test::authors(shell).into());
    // After the tests, whose build leaves the generator behind.
    report.step("codegen", || codegen::check_built(shell).into());
    report.step("specs", || lints::specs(shell));
    report.step("documentation", || documentation(shell).into());
    report.step("oldest-rust", || oldest_rust(shell));
    conformance::steps(shell, &conformance::Arguments::default(), &mut report);

    let result = report.finish(arguments.strict);
    summaries.print();
    result
}

fn format(shell: &Shell) -> Result<(), Error> {
    tools::component("rustfmt", "fmt")?;
    run_command(&mut shell.cargo(["fmt", "--all", "--check"]))
}

fn clippy(shell: &Shell) -> Result<(), Error> {
    tools::component("clippy", "clippy")?;
    run_command(&mut shell.cargo([
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "--deny=warnings",
    ]))
}

fn documentation(shell: &Shell) -> Result<(), Error> {
    run_command(
        shell
            .cargo(["doc", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "--deny=warnings"),
    )
}

/// Licences, duplicates and sources always; advisories when their database can be had.
fn dependencies(shell: &Shell) -> Outcome {
    let deny = match tools::cargo_deny(shell) {
        Ok(deny) => deny,
        Err(error) => return Outcome::Skipped(error.to_string()),
    };
    let checked = run_command(
        shell
            .command(&deny)
            .args(["check", "licenses", "bans", "sources"]),
    );
    let advisories = if succeeds(shell.command(&deny).args(["fetch", "db"])) {
        run_command(shell.command(&deny).args(["check", "advisories"])).into()
    } else {
        Outcome::Skipped("the database of advisories cannot be fetched; licences, duplicates and sources are checked".to_owned())
    };
    Outcome::from(checked).and(advisories)
}

/// Whether the oldest supported compiler can build the workspace.
fn oldest_rust(shell: &Shell) -> Outcome {
    let manifest = std::fs::read_to_string(shell.root.join("Cargo.toml")).unwrap_or_default();
    let Some(oldest) = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'))
    else {
        return Outcome::Failed("Cargo.toml states no rust-version".to_owned());
    };
    let current = output(Command::new("rustc").arg("--version")).unwrap_or_default();
    if current.starts_with(&format!("rustc {oldest}.")) {
        eprintln!("this is Rust {oldest}: all of the above was it");
        return Outcome::Passed;
    }
    let toolchain = format!("+{oldest}");
    if !succeeds(Command::new("cargo").args([&toolchain, "--version"]))
        && !succeeds(Command::new("rustup").args([
            "toolchain",
            "install",
            oldest,
            "--profile",
            "minimal",
        ]))
    {
        return Outcome::Skipped(format!("rustup cannot install Rust {oldest}"));
    }
    run_command(
        Command::new("cargo")
            .current_dir(&shell.root)
            .env("CARGO_TARGET_DIR", shell.tools().join("oldest"))
            .args([
                &toolchain,
                "check",
                "--locked",
                "--workspace",
                "--all-targets",
            ]),
    )
    .into()
}
