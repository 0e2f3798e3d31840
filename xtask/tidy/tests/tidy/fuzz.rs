//! The fuzz targets, which are workspaces of their own, use the crates of this workspace: what is
//! fuzzed is what is shipped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::tree::root;

#[test]
fn fuzz_targets_lock_the_versions_of_the_workspace() {
    let ours = versions(&root().join("Cargo.lock"));
    let mut wrong = Vec::new();
    let mut read = 0;
    for krate in std::fs::read_dir(root().join("crates")).unwrap() {
        let lock = krate.unwrap().path().join("fuzz/Cargo.lock");
        if !lock.is_file() {
            continue;
        }
        read += 1;
        for (name, theirs) in versions(&lock) {
            let Some(ours) = ours.get(&name) else {
                continue;
            };
            for version in theirs.difference(ours) {
                wrong.push(format!("{}: {name} {version}", lock.display()));
            }
        }
    }
    assert!(read >= 4, "{read} lock files of fuzz targets");
    assert!(
        wrong.is_empty(),
        "these versions differ from Cargo.lock; copy it to the fuzz directory and run `cargo metadata` there:\n{}",
        wrong.join("\n")
    );
}

/// The versions of each crate in a lock file.
fn versions(lock: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(lock).unwrap();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines() {
        let quoted = |key: &str| Some(line.strip_prefix(key)?.trim_matches('"').to_owned());
        if let Some(found) = quoted("name = ") {
            name = found;
        } else if let Some(version) = quoted("version = ") {
            versions.entry(name.clone()).or_default().insert(version);
        }
    }
    versions
}
