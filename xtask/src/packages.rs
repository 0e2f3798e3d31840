//! The crates that others can use from a registry: what a registry would get, and the oldest
//! compiler that builds them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::report::Outcome;
use crate::shell::{self, Error, Shell, run, succeeds};
use crate::tools;

/// A published crate.
#[derive(Debug, PartialEq, Eq)]
struct Published {
    name: String,
    /// The oldest compiler, such as `1.88`.
    rust_version: String,
}

/// What a registry and its readers need in `Cargo.toml`.
const KEYS: [&str; 7] = [
    "description",
    "readme",
    "keywords",
    "categories",
    "rust-version",
    "license.workspace",
    "[package.metadata.docs.rs]",
];

/// The files that a published crate has of its own.
const FILES: [&str; 3] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Checks that the published crates are complete, and that they build from what a registry would
/// get, in the order of their dependencies. Nothing is downloaded.
pub(crate) fn packages(shell: &Shell) -> Result<(), Error> {
    let published = published(shell)?;
    let packages: Vec<String> = published
        .iter()
        .map(|krate| format!("--package={}", krate.name))
        .collect();
    // What was built of an earlier state of the same version would be taken for this one.
    forget_unpacked(&published)?;
    let target = shell.tools().join("packages");
    run(shell
        .cargo(["clean", "--quiet", "--offline"])
        .args(&packages)
        .env("CARGO_TARGET_DIR", &target))?;
    run(shell
        .cargo(["package", "--offline", "--locked", "--allow-dirty"])
        .args(&packages)
        .env("CARGO_TARGET_DIR", &target))
}

/// Removes what an earlier run unpacked, which cargo keeps by name and version.
fn forget_unpacked(published: &[Published]) -> Result<(), Error> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let Some(registry) = home.map(|home| home.join("registry")) else {
        return Ok(());
    };
    for kind in ["src", "cache"] {
        let registries = std::fs::read_dir(registry.join(kind));
        for entry in registries.into_iter().flatten().flatten() {
            // The registry of a run of `cargo package` has no host before its hash.
            if !entry.file_name().to_string_lossy().starts_with('-') {
                continue;
            }
            let unpacked = std::fs::read_dir(entry.path());
            for unpacked in unpacked.into_iter().flatten().flatten() {
                let name = unpacked.file_name();
                if is_version_of(&name.to_string_lossy(), published) {
                    remove(&unpacked.path())?;
                }
            }
        }
    }
    Ok(())
}

/// Whether a file or directory is named for a version of one of these crates.
fn is_version_of(name: &str, published: &[Published]) -> bool {
    published.iter().any(|krate| {
        let version = name
            .strip_prefix(krate.name.as_str())
            .and_then(|rest| rest.strip_prefix('-'));
        version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    })
}

fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
    removed.map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })
}

/// Checks each published crate, with all of its features, by the oldest compiler that its
/// `rust-version` promises.
pub(crate) fn rust_versions(shell: &Shell) -> Result<(), Error> {
    let mut by_version: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for krate in published(shell)? {
        let names = by_version.entry(krate.rust_version).or_default();
        names.push(krate.name);
    }
    for (version, names) in by_version {
        let toolchain = format!("{version}.0");
        let cargo = || {
            let mut command = Command::new("cargo");
            command
                .arg(format!("+{toolchain}"))
                .current_dir(&shell.root);
            command
        };
        if !succeeds(cargo().arg("--version")) {
            run(Command::new("rustup").args([
                "toolchain",
                "install",
                &toolchain,
                "--profile=minimal",
            ]))?;
        }
        run(cargo()
            .args(["check", "--locked", "--all-features"])
            .args(names.iter().map(|name| format!("--package={name}")))
            .env("CARGO_TARGET_DIR", shell.tools().join(&toolchain)))?;
    }
    Ok(())
}

/// Compares each published crate with the last tag: a breaking change needs another version.
/// Before the first tag there is nothing to compare with.
pub(crate) fn semver(shell: &Shell) -> Outcome {
    let last = shell::output(shell.command("git").args([
        "describe",
        "--tags",
        "--abbrev=0",
        "--match=v[0-9]*",
    ]));
    match last {
        Ok(tag) => semver_since(shell, tag.trim()).into(),
        Err(_) => Outcome::Skipped("there is no tag to compare the crates with".to_owned()),
    }
}

fn semver_since(shell: &Shell, revision: &str) -> Result<(), Error> {
    let checks = tools::cargo_semver_checks(shell)?;
    let published = published(shell)?;
    run(shell
        .command(checks)
        .args(["semver-checks", "--baseline-rev", revision])
        .args(
            published
                .iter()
                .map(|krate| format!("--package={}", krate.name)),
        ))
}

/// The command of the README that installs the program.
const INSTALL: [&str; 4] = ["install", "--locked", "--path", "crates/callmeter"];

/// Runs the README's `cargo install`, as a debug build, and starts the program.
pub(crate) fn install(shell: &Shell) -> Result<(), Error> {
    let readme = shell.root.join("README.md");
    let text = std::fs::read_to_string(&readme).map_err(|source| Error::File {
        path: readme,
        source,
    })?;
    let command = format!("`cargo {}`", INSTALL.join(" "));
    if !text.contains(&command) {
        return Err(Error::Found(format!(
            "README.md does not have the command {command}, which this step runs"
        )));
    }
    let root = shell.tools().join("install");
    run(shell
        .cargo(INSTALL)
        .args(["--debug", "--force", "--offline", "--root"])
        .arg(&root))?;
    run(Command::new(root.join("bin/callmeter")).arg("--version"))
}

/// The crates whose `Cargo.toml` says `publish = true`.
fn published(shell: &Shell) -> Result<Vec<Published>, Error> {
    let crates = shell.root.join("crates");
    let unreadable = |path: &PathBuf| {
        let path = path.clone();
        move |source| Error::File { path, source }
    };
    let mut published = Vec::new();
    for entry in std::fs::read_dir(&crates).map_err(unreadable(&crates))? {
        let directory = entry.map_err(unreadable(&crates))?.path();
        let manifest = directory.join("Cargo.toml");
        let Ok(text) = std::fs::read_to_string(&manifest) else {
            continue;
        };
        if !text.lines().any(|line| line == "publish = true") {
            continue;
        }
        let mut missing = missing_keys(&text);
        let files = FILES.iter().filter(|name| !directory.join(name).exists());
        missing.extend(files.map(|name| (*name).to_owned()));
        if !missing.is_empty() {
            return Err(Error::Found(format!(
                "{}: a published crate needs {}",
                manifest.display(),
                missing.join(", ")
            )));
        }
        published.push(Published {
            name: value(&text, "name").unwrap_or_default(),
            rust_version: value(&text, "rust-version").unwrap_or_default(),
        });
    }
    published.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(published)
}

/// What a published crate's manifest lacks.
fn missing_keys(manifest: &str) -> Vec<String> {
    let has = |key: &&&str| manifest.lines().any(|line| line.starts_with(**key));
    let missing = KEYS.iter().filter(|key| !has(key));
    missing.map(|key| (*key).to_owned()).collect()
}

/// The text of a key.
fn value(manifest: &str, key: &str) -> Option<String> {
    let mut lines = manifest.lines();
    let quoted = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
    Some(quoted.strip_suffix('"')?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_says_name_and_version_and_what_it_lacks() {
        let manifest = "[package]\nname = \"a\"\nrust-version = \"1.88\"\nreadme = \"README.md\"\n";
        assert_eq!(value(manifest, "name").as_deref(), Some("a"));
        assert_eq!(value(manifest, "rust-version").as_deref(), Some("1.88"));
        let missing = missing_keys(manifest);
        assert!(missing.contains(&"keywords".to_owned()), "{missing:?}");
        assert!(!missing.contains(&"readme".to_owned()), "{missing:?}");
    }

    #[test]
    fn only_versions_of_published_crates_are_removed() {
        let published = [Published {
            name: "jsv".to_owned(),
            rust_version: "1.88".to_owned(),
        }];
        for (name, removed) in [
            ("jsv-0.1.0", true),
            ("jsv-0.1.0.crate", true),
            ("jsv-extra-0.1.0", false),
            ("serde-1.0.229", false),
        ] {
            assert_eq!(is_version_of(name, &published), removed, "{name}");
        }
    }

    #[test]
    fn every_published_crate_is_complete() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let shell = Shell {
            target: root.join("target"),
            root,
        };
        let published = published(&shell).unwrap();
        let names: Vec<&str> = published.iter().map(|krate| krate.name.as_str()).collect();
        for name in ["jsv", "hostedsuite-client", "callmeter-plugin-testkit"] {
            assert!(names.contains(&name), "{names:?}");
        }
    }
}
