//! The packages of the workspace and their source files.

use std::path::{Path, PathBuf};

/// A package of the workspace.
pub(crate) struct Package {
    /// Its directory, from the repository's root, such as `crates/journal`.
    pub(crate) name: String,
    directory: PathBuf,
}

impl Package {
    /// The roots of its module trees: `src/lib.rs` and `src/main.rs`, where it has them.
    pub(crate) fn roots(&self) -> Vec<PathBuf> {
        ["src/lib.rs", "src/main.rs"]
            .map(|file| self.directory.join(file))
            .into_iter()
            .filter(|file| file.is_file())
            .collect()
    }

    /// Its Rust files in `src`, `tests`, `benches` and `examples`, without generated ones.
    pub(crate) fn files(&self) -> Vec<SourceFile> {
        let mut files = Vec::new();
        // The whole-program tests are in `tests/whole`.
        for directory in ["src", "tests", "benches", "examples", "whole"] {
            collect(&self.directory.join(directory), &mut files);
        }
        files.sort();
        let files = files.into_iter().map(|path| SourceFile {
            text: std::fs::read_to_string(&path).unwrap(),
            name: from_root(&path),
        });
        files.filter(|file| !file.is_generated()).collect()
    }
}

/// A Rust file.
pub(crate) struct SourceFile {
    /// Its path from the repository's root.
    pub(crate) name: String,
    pub(crate) text: String,
}

impl SourceFile {
    fn is_generated(&self) -> bool {
        let head = self.text.lines().take(5);
        head.into_iter().any(|line| line.contains("@generated"))
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap().to_path_buf()
}

/// A path as it is from the repository's root.
pub(crate) fn from_root(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Every package of the workspace.
pub(crate) fn packages() -> Vec<Package> {
    let root = root();
    let mut directories: Vec<PathBuf> = ["crates", "plugins"]
        .iter()
        .flat_map(|parent| std::fs::read_dir(root.join(parent)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|directory| directory.join("Cargo.toml").is_file())
        .collect();
    directories
        .extend(["xtask", "xtask/codegen", "xtask/tidy", "tests"].map(|name| root.join(name)));
    directories.sort();
    let packages = directories.into_iter().map(|directory| Package {
        name: from_root(&directory),
        directory,
    });
    packages.collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
