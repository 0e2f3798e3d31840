//! What a rule finds in a spec.

use std::fmt;
use std::path::PathBuf;

use crate::source::Source;

/// Something to change in a spec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The spec.
    pub file: PathBuf,
    /// Where, from 1.
    pub line: u64,
    /// The name of the rule.
    pub rule: &'static str,
    /// What is wrong, and the consequence.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            rule,
            what,
            instead,
        } = self;
        let file = file.display();
        write!(f, "{file}:{line}: {what}\n  write {instead} [{rule}]")
    }
}

/// Collects what a rule finds.
pub(super) struct Findings<'a> {
    pub(super) source: &'a Source,
    pub(super) rule: &'static str,
    pub(super) breaches: &'a mut Vec<Breach>,
}

impl Findings<'_> {
    pub(super) fn add(
        &mut self,
        pointer: &str,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) {
        self.breaches.push(Breach {
            file: self.source.name.clone(),
            line: self.source.line(pointer),
            rule: self.rule,
            what: what.into(),
            instead: instead.into(),
        });
    }
}
