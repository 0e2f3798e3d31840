//! A copy of the repository that a test may change, generate code in and build.
//!
//! The copy has its own target directory, so that the real one stays as it is. It starts with the
//! dependencies that the real one has built; only the repository's crates are built again.

#![allow(
    dead_code,
    reason = "each test that includes this module uses another part"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What cargo needs of the repository.
const COPIED: [&str; 8] = [
    "Cargo.toml",
    "Cargo.lock",
    "crates",
    "docs",
    "plugins",
    "specs",
    "tests",
    "xtask",
];

pub(crate) struct Scratch {
    pub(crate) root: PathBuf,
}

impl Scratch {
    /// Copies the repository to a directory of this name below target/. Files that have not changed
    /// since the last copy are left alone, so that cargo does not build them again.
    pub(crate) fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for entry in COPIED {
            copy(&repository.join(entry), &root.join(entry));
        }
        let scratch = Self { root };
        if !scratch.target().exists() {
            scratch.take_over_dependencies();
        }
        scratch
    }

    fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// Fills the copy's target directory with what the real one has built from registries.
    fn take_over_dependencies(&self) {
        let ours = package_names(&self.root);
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        for directory in ["deps", "build", ".fingerprint"] {
            let from = target.join("debug").join(directory);
            let to = self.target().join("debug").join(directory);
            fs::create_dir_all(&to).unwrap();
            for entry in fs::read_dir(&from).into_iter().flatten() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if !is_of(&ours, &name) {
                    // Cargo rewrites fingerprints, so they are not shared.
                    take_over(
                        &from.join(&name),
                        &to.join(&name),
                        directory != ".fingerprint",
                    );
                }
            }
        }
    }

    /// Replaces a text that occurs once in a file.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.root.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {file}");
        write(&path, text.replace(from, to).as_bytes());
    }

    /// Inserts a text before the first `marker` that follows `start`.
    pub(crate) fn insert(&self, file: &str, start: &str, marker: &str, text: &str) {
        let path = self.root.join(file);
        let old = fs::read_to_string(&path).unwrap();
        let from = old.find(start).unwrap();
        let at = from + old[from..].find(marker).unwrap();
        write(
            &path,
            format!("{}{text}{}", &old[..at], &old[at..]).as_bytes(),
        );
    }

    /// Reads a file.
    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.root.join(file)).unwrap()
    }

    /// Writes a file.
    pub(crate) fn write(&self, file: &str, text: &str) {
        write(&self.root.join(file), text.as_bytes());
    }

    /// Runs the tests of one target whose names contain `filter`. Returns whether they pass, and
    /// what they print.
    ///
    /// The whole workspace is selected, because then the features of the dependencies are those of
    /// the real workspace's tests, and none of them is built again.
    pub(crate) fn test(&self, target: &str, filter: &str) -> (bool, String) {
        let mut cargo = Command::new(env!("CARGO"));
        // The test runner sets these for its own package. Build scripts that depend on them would
        // run again, and with them half of the dependencies.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["CARGO_PKG_", "CARGO_MANIFEST_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            {
                cargo.env_remove(&*name);
            }
        }
        let output = cargo
            .args(["test", "--offline", "--workspace", "--test", target, filter])
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", self.target())
            .env("CALLMETER_WRITE_DOCS", "1")
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }
}

/// The names of the repository's packages, as the files of their builds have them.
fn package_names(root: &Path) -> Vec<String> {
    let mut names = vec!["xtask".to_owned()];
    for directory in ["crates", "plugins", "tests", "xtask"] {
        collect_names(&root.join(directory), &mut names);
    }
    names
}

fn collect_names(directory: &Path, names: &mut Vec<String>) {
    if let Ok(manifest) = fs::read_to_string(directory.join("Cargo.toml")) {
        let quoted = manifest
            .lines()
            .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
        names.extend(quoted.map(|name| name.replace('-', "_")));
    }
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_names(&path, names);
        }
    }
}

/// Whether a file or directory of a build belongs to one of these packages: `libNAME-HASH.rlib`.
fn is_of(packages: &[String], file: &str) -> bool {
    let stem = file.rsplit_once('-').map_or(file, |(stem, _)| stem);
    let stem = stem.replace('-', "_");
    packages
        .iter()
        .any(|name| stem == *name || stem.strip_prefix("lib") == Some(name))
}

/// Takes over a file or directory of a build, by a link if it is `shared`.
fn take_over(from: &Path, to: &Path, shared: bool) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            take_over(&from.join(&name), &to.join(&name), shared);
        }
    } else if shared {
        // A file that another cargo removes meanwhile is built again.
        let _ = fs::hard_link(from, to);
    } else if let Ok(bytes) = fs::read(from) {
        fs::write(to, bytes).unwrap();
        let written = fs::metadata(from).and_then(|data| data.modified());
        if let (Ok(time), Ok(file)) = (written, fs::File::options().write(true).open(to)) {
            file.set_modified(time).unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != "target" {
                copy(&entry.path(), &to.join(entry.file_name()));
            }
        }
    } else {
        write(to, &fs::read(from).unwrap());
    }
}

fn write(path: &Path, bytes: &[u8]) {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
