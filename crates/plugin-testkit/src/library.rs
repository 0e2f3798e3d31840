//! Finds the libraries that cargo builds.

use std::path::{Path, PathBuf};

/// The path of a library: as given if it has a `/`, else `libNAME.so` beside the running test
/// program, where cargo puts what it builds for the same profile.
///
/// # Panics
/// If there is none. The message says where it looked.
pub fn built_library(name: &str) -> PathBuf {
    if name.contains('/') {
        let path = Path::new(name);
        return std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    }
    let file = format!("lib{name}.so");
    let program = std::env::current_exe().unwrap_or_default();
    // target/debug/deps/test-hash, target/debug/examples/…
    let deps = program.parent().unwrap_or(Path::new("/"));
    let profile = deps.parent().unwrap_or(Path::new("/"));
    let places = [
        profile.join("examples"),
        deps.to_owned(),
        profile.to_owned(),
    ];
    let found = places
        .iter()
        .map(|place| place.join(&file))
        .find(|path| path.is_file());
    let Some(path) = found else {
        let places: Vec<_> = places
            .iter()
            .map(|place| place.display().to_string())
            .collect();
        panic!(
            "no {file} in {}: is `crate-type = [\"cdylib\", \"rlib\"]` in Cargo.toml? Run `cargo build` with the same profile",
            places.join(", ")
        );
    };
    path
}
