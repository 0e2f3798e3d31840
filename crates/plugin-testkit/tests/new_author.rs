//! A new author's path: follows `docs/PLUGINS.md` word for word in a fresh directory outside the
//! workspace, runs the resulting plugin, and says how long it took.
//!
//! It builds the SDK and the testkit from scratch, which takes a minute or more: run it with
//! `--ignored`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use callmeter_plugin_testkit::host::{Trust, inspect};
use callmeter_plugin_testkit::{Rig, RigOptions};
use common::{CHILD, PATIENCE, append_calls};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The commands of the page's section, in order.
fn commands(page: &str) -> String {
    let from = page.find("## Your own plugin").unwrap();
    let to = page.find("## What a plugin sees").unwrap();
    let blocks: Vec<&str> = page[from..to]
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(
        blocks.len() >= 5,
        "the page has fewer commands than this test was written for"
    );
    blocks.concat()
}

/// Runs a script in `dir`, as an author would: without the settings of this workspace's build.
fn run(script: &str, dir: &Path) {
    let status = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(dir)
        .env("CALLMETER", workspace())
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TARGET_DIR", "target")
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        .env_remove("CARGO_UNSTABLE_FEATURE_UNIFICATION")
        .status()
        .unwrap();
    assert!(status.success(), "{script}");
}

#[test]
#[ignore = "builds the SDK and the testkit from nothing"]
fn the_page_leads_to_a_running_plugin() {
    let page = std::fs::read_to_string(workspace().join("docs/PLUGINS.md")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    // `callmeter plugin check` prints what `inspect` finds; this crate cannot build the program
    // itself.
    run(
        &format!("callmeter() {{ test -f \"$3\"; }}\n{}", commands(&page)),
        dir.path(),
    );
    println!(
        "from an empty directory to a checked plugin: {:.0?}",
        start.elapsed()
    );

    let library = dir.path().join("talk-times/installed/libtalk_times.so");
    let found = inspect(&library, None, Trust::Strict);
    assert!(found.loads() && found.warnings.is_empty(), "{found}");
    let lines = dir.path().join("lines");
    let config = format!(r#"{{"path":"{}"}}"#, lines.display());
    let rig = Rig::start(
        RigOptions::library(library, dir.path())
            .config(config)
            .isolated(CHILD),
    );
    append_calls(&rig, 1, 20);
    rig.settle(PATIENCE).unwrap();
    assert!(rig.stop(PATIENCE));
    assert_eq!(std::fs::read_to_string(lines).unwrap().lines().count(), 20);
}

#[test]
#[ignore = "builds the SDK and the testkit from nothing"]
fn the_template_keeps_the_rules() {
    let dir = tempfile::tempdir().unwrap();
    let plugin = dir.path().join("plugin");
    // What `cargo generate` does.
    let script = r#"
        cp -r "$CALLMETER/templates/plugin" plugin
        cd plugin
        rm cargo-generate.toml
        cp "$CALLMETER/Cargo.lock" .
        sed -i "s|{{project-name}}|my-plugin|g; s|{{crate_name}}|my_plugin|g; s|{{callmeter}}|file://$CALLMETER|g" \
            Cargo.toml README.md src/lib.rs tests/conformance.rs
        ! grep -rn "{{[a-z]" --include=*.rs --include=*.toml --include=*.md .
        # A repository is fetched, which cargo does not do offline.
        export CARGO_NET_OFFLINE=false
        # The commands of its CI.
        sed -n "s/^ *- run: //p" .github/workflows/ci.yml > ci.sh
        test "$(wc -l < ci.sh)" = 2
        bash -euxo pipefail ci.sh
        make -s -C examples/c "CALLMETER=$CALLMETER"
    "#;
    run(script, dir.path());
    let twin = inspect(
        &plugin.join("examples/c/libtalk_times_c.so"),
        None,
        Trust::Strict,
    );
    assert!(twin.loads() && twin.warnings.is_empty(), "{twin}");
}
