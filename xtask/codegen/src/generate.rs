//! Everything that `cargo xtask codegen` does for one API.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use similar::TextDiff;

use crate::emit::{self, EmitError};
use crate::members::{self, MemberError};
use crate::plan::{Api, Plan};
use crate::rules::{self, Breach};
use crate::source::{ReadError, Source};

/// Why an API's files could not be generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The spec cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The spec breaks rules.
    #[error("{}", listed(.0))]
    Rules(Vec<Breach>),
    /// No code can be generated from the spec.
    #[error("{spec}: {source}")]
    Emit {
        /// The spec.
        spec: &'static str,
        /// Why.
        source: Box<EmitError>,
    },
    /// A record has a member that cannot be in its table.
    #[error(transparent)]
    Members(#[from] MemberError),
    /// A generated file could not be read or written.
    #[error("{file}: {source}", file = file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

fn listed(breaches: &[Breach]) -> String {
    let mut text = String::new();
    for breach in breaches {
        let _ = writeln!(text, "{breach}");
    }
    let _ = write!(
        text,
        "{} to change before code can be generated",
        breaches.len()
    );
    text
}

/// A generated file that is out of date.
#[derive(Debug)]
pub struct Change {
    /// The file, from the repository's root.
    pub file: PathBuf,
    /// From the current text to the generated one.
    pub diff: String,
    /// The generated text.
    pub text: String,
}

/// The generated files of an API that are out of date. Nothing is written.
pub fn changes(root: &Path, api: &Api) -> Result<Vec<Change>, GenerateError> {
    let source = Source::open(&root.join(api.spec), Path::new(api.spec))?;
    let breaches = rules::check(&source);
    if !breaches.is_empty() {
        return Err(GenerateError::Rules(breaches));
    }
    let plan = Plan::new(&source, api.numbers);
    let mut files =
        emit::files(&source.model, &plan, api.spec).map_err(|source| GenerateError::Emit {
            spec: api.spec,
            source: Box::new(source),
        })?;
    if let Some(text) = members::file(&source, &plan, api.spec)? {
        files.insert("generated_members.rs", text);
    }
    let mut changes = Vec::new();
    for (name, text) in files {
        let file = Path::new(api.directory).join(name);
        let there = match std::fs::read_to_string(root.join(&file)) {
            Ok(there) => there,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(GenerateError::File { file, source }),
        };
        if there != text {
            let diff = TextDiff::from_lines(&there, &text)
                .unified_diff()
                .header(
                    &format!("{} (there)", file.display()),
                    &format!("{} (generated)", file.display()),
                )
                .to_string();
            changes.push(Change { file, diff, text });
        }
    }
    Ok(changes)
}

/// Writes a change.
pub fn write(root: &Path, change: &Change) -> Result<(), GenerateError> {
    std::fs::write(root.join(&change.file), &change.text).map_err(|source| GenerateError::File {
        file: change.file.clone(),
        source,
    })
}
