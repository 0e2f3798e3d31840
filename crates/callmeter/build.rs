//! Tells the program what it was built from, for `callmeter_build_info` and `--version`.

use std::process::Command;

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let rustc = first_line(Command::new(rustc).arg("--version"))
        .and_then(|line| line.split(' ').nth(1).map(str::to_owned));
    // A packager builds from an archive and sets the variable; a checkout is asked itself.
    let revision = std::env::var("CALLMETER_REVISION")
        .ok()
        .or_else(|| first_line(Command::new("git").args(["rev-parse", "--short=12", "HEAD"])));
    let target = std::env::var("TARGET").ok();
    for (name, value) in [
        ("CALLMETER_BUILD_RUSTC", rustc),
        ("CALLMETER_BUILD_REVISION", revision),
        ("CALLMETER_BUILD_TARGET", target),
    ] {
        let value = value.unwrap_or_else(|| "unknown".to_owned());
        println!("cargo::rustc-env={name}={value}");
    }
    println!("cargo::rerun-if-env-changed=CALLMETER_REVISION");
    // Not the reference logs: a rebuild at each commit costs developers more than an exact revision
    // is worth to them. Release builds start from nothing.
    println!("cargo::rerun-if-changed=build.rs");
}

fn first_line(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().next().map(str::to_owned)
}
