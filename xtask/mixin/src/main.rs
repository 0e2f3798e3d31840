//! Writes the files of `mixin/`, or checks that they are up to date.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Write alerts, recording rules and dashboards to mixin/
#[derive(Debug, Parser)]
#[command(name = "cargo xtask mixin", bin_name = "cargo xtask mixin")]
struct Arguments {
    /// Write nothing; fail if a file is not up to date
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../mixin"));
    let mut outdated = Vec::new();
    for (name, text) in callmeter_mixin::files().map_err(|error| error.to_string())? {
        let path = directory.join(&name);
        if std::fs::read_to_string(&path).is_ok_and(|found| found == text) {
            continue;
        }
        if arguments.check {
            outdated.push(name);
            continue;
        }
        let written = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        println!("mixin/{name}");
    }
    if outdated.is_empty() {
        return Ok(());
    }
    let files = outdated.join(", ");
    Err(format!(
        "mixin/ is not up to date ({files}): run `cargo xtask mixin`"
    ))
}
