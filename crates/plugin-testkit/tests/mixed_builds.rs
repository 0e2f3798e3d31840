//! A plugin built by another compiler with another arrow-rs. It builds both from scratch and may
//! have to download them: run it with `--ignored`.

mod common;

use std::path::Path;
use std::process::Command;

use callmeter_plugin_testkit::generate::{self, Recipe};
use callmeter_plugin_testkit::{Rig, RigOptions, Stream};
use common::{CHILD, PATIENCE, talk_times};

#[test]
#[ignore = "builds arrow-rs 55 with the nightly compiler"]
fn another_compiler_and_another_arrow() {
    let nightly = Command::new("cargo")
        .args(["+nightly", "--version"])
        .output();
    assert!(
        nightly.is_ok_and(|output| output.status.success()),
        "the nightly compiler is missing: `rustup toolchain install nightly --profile minimal`, \
         as `cargo xtask ci` does"
    );
    let dir = tempfile::tempdir().unwrap();
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = crate_dir.join("../..").canonicalize().unwrap();
    let build = r#"
        cp -r "$FIXTURE" plugin && cd plugin
        sed -i "s|CALLMETER|$CALLMETER|" Cargo.toml
        cargo +nightly build
    "#;
    let status = Command::new("bash")
        .args(["-euc", build])
        .current_dir(dir.path())
        .env("FIXTURE", crate_dir.join("fixtures/other_arrow"))
        .env("CALLMETER", workspace)
        .env("CARGO_TARGET_DIR", "target")
        // The outer cargo's own choice of compiler.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC_WRAPPER")
        .status()
        .unwrap();
    assert!(status.success(), "the plugin could not be built");
    let other = dir.path().join("plugin/target/debug/libother_arrow.so");

    let mut texts = Vec::new();
    for (library, isolated) in [(talk_times(), false), (other.clone(), false), (other, true)] {
        let path = dir.path().join(format!("lines-{}", texts.len()));
        let config = if texts.is_empty() {
            format!(r#"{{"path":"{}"}}"#, path.display())
        } else {
            format!(r#""{}""#, path.display())
        };
        let options = RigOptions::library(library, dir.path()).config(config);
        let rig = Rig::start(if isolated {
            options.isolated(CHILD)
        } else {
            options
        });
        let whole = generate::batch(Stream::Calls, Recipe::rows(700));
        for (offset, length) in [(0, 1), (1, 7), (13, 500), (513, 187)] {
            rig.append(Stream::Calls, whole.slice(offset, length));
        }
        rig.settle(PATIENCE).unwrap();
        assert!(rig.stop(PATIENCE));
        texts.push(std::fs::read_to_string(path).unwrap());
    }
    assert_eq!(texts[0].lines().count(), 695);
    assert!(texts.iter().all(|text| *text == texts[0]));
}
