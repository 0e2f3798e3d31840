//! `callmeter plugin test` on plugins in Rust and C, good and bad.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use callmeter_tests::{callmeter, plugin};

fn test(library: &Path, arguments: &[&str]) -> (Output, String) {
    let output = Command::new(callmeter())
        .args(["plugin", "test"])
        .arg(library)
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .into()
}

/// Compiles the template's plugin in C as its authors do, with other text in places.
fn in_c(directory: &Path, name: &str, change: (&str, &str)) -> PathBuf {
    let root = repository();
    let text = std::fs::read_to_string(root.join("templates/plugin/examples/c/talk_times.c"));
    let text = text.unwrap();
    assert!(text.contains(change.0));
    let source = directory.join(format!("{name}.c"));
    std::fs::write(&source, text.replace(change.0, change.1)).unwrap();
    let library = directory.join(format!("lib{name}.so"));
    let compiled = Command::new("gcc")
        .args([
            "-std=gnu11",
            "-O2",
            "-shared",
            "-fPIC",
            "-fvisibility=hidden",
        ])
        .arg("-Wl,-z,nodelete")
        .arg("-I")
        .arg(root.join("crates/plugin-abi/include"))
        .arg("-o")
        .arg(&library)
        .arg(&source)
        .status()
        .unwrap();
    assert!(compiled.success());
    library
}

const LINES: [&str; 2] = [
    "--config={\"path\": \"{directory}/lines\"}",
    "--written={directory}/lines",
];

#[test]
fn plugins_in_rust_and_c_keep_the_rules() {
    let config = "--config={\"directory\": \"{directory}/csv\"}";
    let (output, text) = test(&plugin("csv"), &[config, "--written={directory}/csv"]);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("ok        writes the id of every call"),
        "{text}"
    );

    let directory = tempfile::tempdir().unwrap();
    let good = in_c(directory.path(), "good", ("fflush", "fflush"));
    let (output, text) = test(&good, &LINES);
    assert!(output.status.success(), "{text}");
}

#[test]
fn crashes_and_lies_are_found() {
    let directory = tempfile::tempdir().unwrap();
    // An abort, and an acknowledgement of what was not written.
    for (name, change, failed) in [
        (
            "crash",
            (
                "    column sequence, id, talk;",
                "    if (batch->array->length == 0) abort();\n    column sequence, id, talk;",
            ),
            "FAILED    takes empty batches and single records: it failed and had to be made again",
        ),
        (
            "lie",
            ("if (to > from)", "if (to > from && row % 2 == 0)"),
            "FAILED    writes the id of every call",
        ),
    ] {
        let library = in_c(directory.path(), name, change);
        let (output, text) = test(&library, &LINES);
        assert_eq!(output.status.code(), Some(5), "{name}: {text}");
        assert!(text.contains(failed), "{name}: {text}");
    }
    let (output, _) = test(&plugin("csv"), &["--written=/etc"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("must start with {directory}"), "{said}");
}

#[test]
fn settings_that_are_refused_are_said_at_once() {
    let (output, _) = test(&plugin("csv"), &["--config={bad"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--config is not JSON"), "{said}");
    let (output, text) = test(&plugin("csv"), &["--config={}"]);
    assert_eq!(output.status.code(), Some(5), "{text}");
    for line in [
        "FAILED    is created with its settings: ",
        "SKIPPED the other checks",
    ] {
        assert!(text.contains(line), "{text}");
    }
}
