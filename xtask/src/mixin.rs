//! `cargo xtask mixin`: builds and runs the writer of the mixin; checks the dashboards by Grafana's
//! types.

use std::path::Path;

use crate::shell::{self, Error, Shell};
use crate::tools::{GRAFANA_SCHEMA, Node, TYPESCRIPT};

pub(crate) fn run(shell: &Shell, arguments: &[String]) -> Result<(), Error> {
    // As for the generator of the clients: with `--workspace`, what the tests build is used again.
    shell::run(&mut shell.cargo(["build", "--quiet", "--workspace", "--bin=callmeter-mixin"]))?;
    let writer = shell.built(false).join("callmeter-mixin");
    shell::run(shell.command(writer).args(arguments))
}

/// Whether the files are up to date, and the dashboards have the types that Grafana expects.
pub(crate) fn check(shell: &Shell) -> Result<(), Error> {
    run(shell, &["--check".to_owned()])?;
    let node = Node::with(shell, &[GRAFANA_SCHEMA, TYPESCRIPT])?;
    // Where the packages are, so that the compiler finds them.
    let directory = shell.tools().join("node");
    let mut compiler = node.command("tsc");
    compiler.current_dir(&directory).args([
        "--noEmit",
        "--strict",
        "--skipLibCheck",
        "--moduleResolution",
        "node",
        "--target",
        "es2020",
    ]);
    for dashboard in ["service", "allowances", "callmeter"] {
        let source = Path::new("mixin/dashboards").join(format!("{dashboard}.json"));
        let json = std::fs::read_to_string(&source).map_err(|error| Error::File {
            path: source.clone(),
            source: error,
        })?;
        let text = format!(
            "import type {{ Dashboard }} from '@grafana/schema';\n\
             export const dashboard: Dashboard = {json};\n"
        );
        let path = directory.join(format!("dashboard-{dashboard}.ts"));
        std::fs::write(&path, text).map_err(|source| Error::File {
            path: path.clone(),
            source,
        })?;
        compiler.arg(path);
    }
    shell::run(&mut compiler)
}
