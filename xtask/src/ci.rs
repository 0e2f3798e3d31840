//! `cargo xtask ci`: every check, quick ones first. Steps share one build where cargo allows it.

use crate::report::{Outcome, Report};
use crate::shell::{Error, Shell, run as run_command, succeeds};
use crate::test::{self, Summaries};
use crate::tools::{self, TYPOS};
use crate::{book, codegen, conformance, lints, mixin, packages};

/// Which steps.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only this step; may be given several times. `rust-versions` and `semver` run only in this
    /// way: one downloads the oldest compilers that the crates promise to support, the other
    /// builds a large tool
    #[arg(long, value_name = "STEP", value_parser = STEPS)]
    only: Vec<String>,
}

/// The steps in order.
const STEPS: [&str; 21] = [
    "format",
    "typos",
    "dependencies",
    "clippy",
    "no-default-features",
    "fuzz",
    "programs",
    "tests",
    "examples",
    "authors",
    "codegen",
    "mixin",
    "specs",
    "documentation",
    "book",
    "packages",
    RUST_VERSIONS,
    SEMVER,
    "install",
    "prism",
    "schemathesis",
];

/// Steps before a release, which run only if they are named: one downloads compilers, the other
/// builds a large tool.
const RUST_VERSIONS: &str = "rust-versions";
const SEMVER: &str = "semver";

pub(crate) fn run(shell: &Shell, arguments: &Arguments) -> Result<(), Error> {
    let mut report = Report::only(&arguments.only);
    report.step("format", || format(shell).into());
    report.step("typos", || typos(shell).into());
    report.step("dependencies", || dependencies(shell));
    report.step("clippy", || clippy(shell).into());
    // After clippy, which has checked the dependencies.
    report.step("no-default-features", || no_default_features(shell).into());
    report.step("fuzz", || fuzz_targets(shell).into());
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
    // After the tests, whose build compiles the generator.
    report.step("codegen", || {
        codegen::run(shell, &["--check".to_owned()]).into()
    });
    report.step("mixin", || mixin::check(shell).into());
    report.step("specs", || lints::specs(shell).into());
    report.step("documentation", || documentation(shell).into());
    report.step("book", || book::build(shell).into());
    report.step("packages", || packages::packages(shell).into());
    let named = |name: &str| arguments.only.iter().any(|step| step == name);
    if named(RUST_VERSIONS) {
        report.step(RUST_VERSIONS, || packages::rust_versions(shell).into());
    }
    if named(SEMVER) {
        report.step(SEMVER, || packages::semver(shell));
    }
    report.step("install", || packages::install(shell).into());
    conformance::steps(shell, &conformance::Arguments::default(), &mut report);

    let result = report.finish();
    summaries.print();
    result
}

fn format(shell: &Shell) -> Result<(), Error> {
    tools::component("rustfmt", "fmt")?;
    run_command(&mut shell.cargo(["fmt", "--all", "--check"]))
}

fn typos(shell: &Shell) -> Result<(), Error> {
    let programs = tools::python(shell, &[TYPOS])?;
    run_command(&mut shell.command(programs.join("typos")))
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

/// Whether the program compiles without its optional parts.
fn no_default_features(shell: &Shell) -> Result<(), Error> {
    run_command(&mut shell.cargo([
        "check",
        "--locked",
        "--package=callmeter",
        "--no-default-features",
    ]))
}

/// Whether the fuzz targets compile with their lock files. They are workspaces of their own, and
/// are run by hand.
fn fuzz_targets(shell: &Shell) -> Result<(), Error> {
    for package in ["callmeter", "hostedsuite-client", "jsv", "portsip-client"] {
        run_command(
            shell
                .cargo(["check", "--locked", "--manifest-path"])
                .arg(format!("crates/{package}/fuzz/Cargo.toml"))
                .env("CARGO_TARGET_DIR", shell.tools().join("fuzz"))
                // libFuzzer itself is built only to link the targets.
                .env("CUSTOM_LIBFUZZER_PATH", "/dev/null"),
        )?;
    }
    Ok(())
}

fn documentation(shell: &Shell) -> Result<(), Error> {
    run_command(
        shell
            .cargo(["doc", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "--deny=warnings"),
    )
}

/// Licences, duplicates and sources always; advisories only if their database can be downloaded.
fn dependencies(shell: &Shell) -> Outcome {
    let deny = match tools::cargo_deny(shell) {
        Ok(deny) => deny,
        Err(error) => return Outcome::Failed(error.to_string()),
    };
    let checked = run_command(
        shell
            .command(&deny)
            // A rule of deny.toml that no crate needs is a mistake.
            .args(["check", "--deny=warnings", "licenses", "bans", "sources"]),
    );
    let advisories = if succeeds(shell.command(&deny).args(["fetch", "db"])) {
        run_command(shell.command(&deny).args(["check", "advisories"])).into()
    } else {
        Outcome::Skipped(
            "advisories are not checked: their database cannot be downloaded".to_owned(),
        )
    };
    Outcome::from(checked).and(advisories)
}
