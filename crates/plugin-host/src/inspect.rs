//! Checks whether a library would load, for `callmeter plugin check`.

use std::fmt;
use std::path::{Path, PathBuf};

use callmeter_error_chain::one_line;

use crate::callbacks::{HostContext, Silent};
use crate::config_check;
use crate::elf::ElfFacts;
use crate::file::{PluginFile, Trust};
use crate::library::Plugin;

/// The result of checking a library.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The file.
    pub path: PathBuf,
    /// The SHA-256 of its bytes, in hexadecimal, if it could be read.
    pub sha256: Option<String>,
    /// What the file says about itself, if it is a plugin.
    pub facts: Option<ElfFacts>,
    /// The JSON Schema of its configuration, if it was loaded and has one.
    pub config_schema: Option<String>,
    /// What is allowed but unusual.
    pub warnings: Vec<String>,
    /// Whether it would load.
    pub decision: LoadDecision,
}

/// Whether a library would load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadDecision {
    /// It was loaded and has every function that is needed.
    Loads,
    /// It is refused for this reason.
    Refused(String),
}

impl Inspection {
    /// Whether the library would load.
    pub fn loads(&self) -> bool {
        self.decision == LoadDecision::Loads
    }
}

/// Checks a library as an output would, and loads it. Code of the plugin runs, but no instance is
/// created.
pub fn inspect(path: &Path, pin: Option<&str>, trust: Trust) -> Inspection {
    let mut inspection = Inspection {
        path: path.to_owned(),
        sha256: None,
        facts: None,
        config_schema: None,
        warnings: Vec::new(),
        decision: LoadDecision::Loads,
    };
    let file = match PluginFile::open(path, pin, trust) {
        Ok(file) => file,
        Err(error) => {
            inspection.decision = LoadDecision::Refused(error.to_string());
            return inspection;
        }
    };
    inspection.sha256 = Some(file.sha256().to_owned());
    inspection.facts = Some(file.facts().clone());
    let unusual = file.unusual_dependencies();
    if !unusual.is_empty() {
        inspection.warnings.push(format!(
            "it needs {}, which the dynamic linker looks for along LD_LIBRARY_PATH without any check",
            unusual.join(", ")
        ));
    }
    if file.facts().search_path {
        inspection
            .warnings
            .push("it brings its own library search path (RPATH or RUNPATH)".to_owned());
    }
    if !file.facts().nodelete {
        inspection.warnings.push(
            "it is not linked with `-z nodelete`; callmeter never unloads it, other programs may"
                .to_owned(),
        );
    }
    let host = HostContext::leak(Silent);
    match Plugin::load(&file, host) {
        Ok(plugin) => {
            let schema = plugin.config_schema.as_deref();
            if let Some(Err(error)) = schema.map(config_check::check_schema) {
                let warning = format!("{error}; callmeter does not check settings with it");
                inspection.warnings.push(one_line(&warning));
            }
            inspection.config_schema = plugin.config_schema;
        }
        Err(error) => inspection.decision = LoadDecision::Refused(error.to_string()),
    }
    inspection
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "file      {}", self.path.display())?;
        if let Some(sha256) = &self.sha256 {
            writeln!(f, "sha256    {sha256}")?;
        }
        if let Some(ElfFacts { note, needed, .. }) = &self.facts {
            writeln!(
                f,
                "plugin    {} {} ({})",
                note.name, note.version, note.kind
            )?;
            writeln!(f, "abi       {}.{}", note.abi_major, note.abi_minor)?;
            writeln!(f, "needs     {}", needed.join(", "))?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning   {warning}")?;
        }
        match &self.decision {
            LoadDecision::Loads => writeln!(f, "verdict   it loads")?,
            LoadDecision::Refused(reason) => writeln!(f, "verdict   REFUSED: {reason}")?,
        }
        if let Some(schema) = &self.config_schema {
            writeln!(
                f,
                "config    {}",
                schema.trim().replace('\n', "\n          ")
            )?;
        }
        Ok(())
    }
}
