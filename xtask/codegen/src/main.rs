//! Writes the API clients' generated files from `specs/`. Run it as `cargo xtask codegen`.

use std::path::Path;
use std::process::ExitCode;

use callmeter_codegen::generate::{GenerateError, changes, write};
use callmeter_codegen::plan::APIS;
use clap::Parser;

/// Write the API clients' generated files from specs/.
///
/// Reads specs/NAME.yaml and writes the generated files of the client crate. A spec that would
/// give a client that does not compile, or that loses what real servers send, is refused with the
/// file, the line and what to write instead. They are checked in, so that a change of a spec
/// shows what it does to the client.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask codegen", bin_name = "cargo xtask codegen")]
struct Arguments {
    /// Write nothing; print what would change and fail if anything would.
    #[arg(long)]
    check: bool,
    /// Only this API.
    #[arg(long, value_name = "NAME", value_parser = APIS.map(|api| api.name))]
    only: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The manifest's directory is two below the root, wherever the command is called from.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut failed = false;
    for api in &APIS {
        if arguments.only.as_ref().is_some_and(|only| only != api.name) {
            continue;
        }
        match run(&root, api, arguments.check) {
            Ok(clean) => failed |= !clean,
            Err(error) => {
                eprintln!("error: {error}");
                failed = true;
            }
        }
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Checks or writes one API's files; false when a check found a difference.
fn run(
    root: &Path,
    api: &callmeter_codegen::plan::Api,
    check: bool,
) -> Result<bool, GenerateError> {
    let changes = changes(root, api)?;
    if changes.is_empty() {
        println!("{}: up to date", api.name);
        return Ok(true);
    }
    for change in &changes {
        if check {
            print!("{}", change.diff);
            eprintln!(
                "error: {} is not what {} gives; run `cargo xtask codegen` and commit the result",
                change.file.display(),
                api.spec
            );
        } else {
            write(root, change)?;
            println!("{}: wrote {}", api.name, change.file.display());
        }
    }
    Ok(!check)
}
