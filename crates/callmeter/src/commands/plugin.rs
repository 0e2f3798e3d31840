//! `callmeter plugin`: describes plugins and checks whether they load.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use callmeter_plugin_host::{Inspection, LoadDecision, Trust, inspect};
use callmeter_plugin_testkit::conformance::{Options, run_with};

use crate::cli::{ConfigFileArg, PluginCommand};
use crate::config;
use crate::exit::Failure;

/// Runs one of the commands.
///
/// # Errors
/// If a library does not load.
pub fn run(command: PluginCommand) -> Result<(), Failure> {
    match command {
        PluginCommand::Check { path } => check(&path),
        PluginCommand::List(config) => list(&config),
        PluginCommand::Test {
            path,
            config,
            written,
        } => test(&path, &config, written.as_deref()),
    }
}

fn check(path: &Path) -> Result<(), Failure> {
    let path = std::path::absolute(path).map_err(Failure::failed)?;
    let inspection = inspect(&path, None, Trust::default());
    print(&describe(&inspection))?;
    match inspection.decision {
        LoadDecision::Loads => Ok(()),
        LoadDecision::Refused(reason) => {
            Err(Failure::Damaged(format!("{}: {reason}", path.display())))
        }
    }
}

/// Runs the conformance kit, with each instance in a child process as callmeter runs it.
fn test(path: &Path, config: &str, written: Option<&str>) -> Result<(), Failure> {
    let path = std::path::absolute(path).map_err(Failure::failed)?;
    if let Err(error) = serde_json::from_str::<serde_json::Value>(config) {
        return Err(Failure::usage(format!("--config is not JSON: {error}")));
    }
    let options = Options {
        child_command: Some(Vec::new()),
        written: written.map(below_directory).transpose()?,
    };
    let config = |directory: &Path| config.replace(DIRECTORY, &directory.display().to_string());
    let report = run_with(&path, &config, &options);
    print(&report.to_string())?;
    if report.passed() {
        Ok(())
    } else {
        Err(Failure::Damaged(format!(
            "{}: the plugin breaks rules; see the lines FAILED",
            path.display()
        )))
    }
}

/// What stands for the directory of an instance.
const DIRECTORY: &str = "{directory}";

fn below_directory(written: &str) -> Result<PathBuf, Failure> {
    let below = written.strip_prefix(DIRECTORY).ok_or_else(|| {
        Failure::failed(format!(
            "--written={written}: it must start with {DIRECTORY}"
        ))
    })?;
    Ok(PathBuf::from(below.trim_start_matches('/')))
}

fn list(arg: &ConfigFileArg) -> Result<(), Failure> {
    let loaded = config::load(&arg.config_file)?;
    let mut refused = Vec::new();
    for output in &loaded.config.outputs {
        let path = std::path::absolute(&output.plugin).map_err(Failure::failed)?;
        let inspection = inspect(&path, output.sha256.as_deref(), Trust::default());
        let streams: Vec<&str> = output.streams.iter().map(|stream| stream.name()).collect();
        print(&format!(
            "output {} ({})\n{}\n",
            output.name,
            streams.join(", "),
            describe(&inspection)
        ))?;
        if let LoadDecision::Refused(reason) = inspection.decision {
            refused.push(format!("output {}: {reason}", output.name));
        }
    }
    if refused.is_empty() {
        Ok(())
    } else {
        Err(Failure::Damaged(refused.join("\n")))
    }
}

fn describe(inspection: &Inspection) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let mut line = |key: &str, value: &str| {
        let _ = writeln!(text, "  {key:<12} {value}");
    };
    line("file", &inspection.path.display().to_string());
    if let Some(sha256) = &inspection.sha256 {
        line("sha256", sha256);
    }
    if let Some(facts) = &inspection.facts {
        let note = &facts.note;
        line(
            "plugin",
            &format!("{} {}, kind {}", note.name, note.version, note.kind),
        );
        line("abi", &format!("{}.{}", note.abi_major, note.abi_minor));
    }
    for warning in &inspection.warnings {
        line("warning", warning);
    }
    match &inspection.decision {
        LoadDecision::Loads => line("verdict", "loads"),
        LoadDecision::Refused(reason) => line("verdict", &format!("refused: {reason}")),
    }
    if let Some(schema) = &inspection.config_schema {
        line("settings", schema);
    }
    text
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::stdout)
}
