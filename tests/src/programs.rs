//! Finds the programs that tests run.

use std::path::{Path, PathBuf};

/// Cargo's directory of programs for the profile of the running test.
fn built() -> PathBuf {
    let program = std::env::current_exe().expect("the test's own path");
    let deps = program.parent().expect("a directory");
    deps.parent().unwrap_or(deps).to_path_buf()
}

fn built_file(name: &str) -> PathBuf {
    let path = built().join(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo xtask test`, or `cargo build --workspace --lib --bins` before this test",
        path.display()
    );
    path
}

/// The callmeter program.
pub fn callmeter() -> PathBuf {
    built_file("callmeter")
}

/// The library of one of callmeter's plugins: `csv` or `webhook`.
pub fn plugin(name: &str) -> PathBuf {
    built_file(&format!("libcallmeter_{name}.so"))
}

/// A program of the system; `package` is its Debian package.
pub fn system(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/bin"), PathBuf::from("/usr/local/bin")])
        .map(|directory: PathBuf| directory.join(name))
        .find(|path: &PathBuf| Path::is_file(path))
        .unwrap_or_else(|| {
            panic!(
                "{name} is not installed: `apt-get install {package}`, as `cargo xtask test` does"
            )
        })
}
