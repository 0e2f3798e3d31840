//! What the host's tests share: compiling libraries, starting rigs, and reading what plugins wrote.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    dead_code,
    unreachable_pub,
    reason = "shared by several test programs"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use callmeter_plugin_testkit::generate::{self, Recipe};
use callmeter_plugin_testkit::{Rig, RigOptions, Stream, built_library};

/// Long enough for a machine that builds something else at the same time.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program that runs isolated plugins in these tests.
pub const CHILD: &str = env!("CARGO_BIN_EXE_plugin_child");

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Compiles a C plugin.
pub fn compile_c(source: &Path, name: &str, into: &Path, flags: &[&str]) -> PathBuf {
    let library = into.join(format!("lib{name}.so"));
    let output = Command::new("gcc")
        .args([
            "-std=gnu11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-Wno-unused-function",
            "-Wno-unused-variable",
            "-O1",
        ])
        .args(["-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-z,nodelete"])
        .arg("-I")
        .arg(workspace().join("crates/plugin-abi/include"))
        .args(flags)
        .arg("-o")
        .arg(&library)
        .arg(source)
        .output()
        .expect("gcc is missing: install it, or run the tests with `cargo xtask test`, which does");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    library
}

/// Compiles one of the plugins of `fixtures/odd.c`.
pub fn odd(into: &Path, flags: &[&str]) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/odd.c");
    compile_c(&source, "odd", into, flags)
}

/// Compiles the C twin of `talk_times`.
pub fn talk_times_c(into: &Path) -> PathBuf {
    let source = workspace().join("templates/plugin/examples/c/talk_times.c");
    compile_c(&source, "talk_times_c", into, &[])
}

pub fn talk_times() -> PathBuf {
    built_library("talk_times")
}

pub fn hazard() -> PathBuf {
    built_library("hazard")
}

/// Calls with these sequences.
pub fn append_calls(rig: &Rig, first: i64, rows: usize) {
    let recipe = Recipe {
        first,
        seed: first.unsigned_abs(),
        ..Recipe::rows(rows)
    };
    rig.append(Stream::Calls, generate::batch(Stream::Calls, recipe));
}

/// The sequences of calls that the hazard wrote, once each.
pub fn written(out: &Path) -> BTreeSet<i64> {
    let text = std::fs::read_to_string(out).unwrap_or_default();
    let calls = text.lines().filter_map(|line| line.strip_prefix("calls "));
    calls.map(|sequence| sequence.parse().unwrap()).collect()
}

/// A hazard in this process or in a child of it.
pub fn hazard_options(dir: &Path, at: &str, harm: &str, once: bool, isolated: bool) -> RigOptions {
    let once = if once {
        format!("\"{}\"", dir.join("once").display())
    } else {
        "null".to_owned()
    };
    let config = format!(
        r#"{{"out":"{}","at":"{at}","harm":"{harm}","once":{once},"from_batch":{}}}"#,
        dir.join("out").display(),
        if matches!(at, "write" | "flush" | "drop") {
            3
        } else {
            0
        },
    );
    let options = RigOptions::library(hazard(), dir).config(config);
    if isolated {
        options.isolated(CHILD)
    } else {
        options
    }
}

/// Runs `body` in another process of this test program, so that whatever it does to its process is
/// seen here as an exit status.
pub fn own_process(test: &str, body: impl FnOnce()) -> Option<std::process::ExitStatus> {
    if std::env::var("OWN_PROCESS").as_deref() == Ok(test) {
        body();
        return None;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("OWN_PROCESS", test)
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    Some(output.status)
}
