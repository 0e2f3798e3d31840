//! A copy of the repository that a test may change, generate code in and build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What cargo needs of the repository.
const COPIED: [&str; 7] = [
    "Cargo.toml",
    "Cargo.lock",
    "crates",
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
        Self { root }
    }

    /// Replaces a text that occurs once in a file.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.root.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {file}");
        write(&path, text.replace(from, to).as_bytes());
    }

    /// Writes a file.
    pub(crate) fn write(&self, file: &str, text: &str) {
        write(&self.root.join(file), text.as_bytes());
    }

    /// Runs one test target of a package.
    ///
    /// The whole workspace is selected and the real target directory is used, because then the
    /// features of the dependencies are those of the real workspace's tests, and nothing but the
    /// changed crates is built.
    pub(crate) fn test(&self, target: &str) {
        let target_directory = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
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
            .args(["test", "--offline", "--workspace", "--test", target])
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", target_directory)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
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
