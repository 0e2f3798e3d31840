//! A mistake in a configuration file: its place, its key, and how to correct it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_saphyr::Location;

/// A place in a file; lines and columns count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

impl Place {
    /// The place of a YAML node; `None` if the parser does not know it.
    pub fn of(location: Location) -> Option<Self> {
        (location.line() > 0).then(|| Self {
            line: location.line(),
            column: location.column(),
        })
    }
}

/// One mistake, or one warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as the user named it.
    pub file: PathBuf,
    /// Where in the file; `None` if it concerns the whole file.
    pub place: Option<Place>,
    /// The key in dotted form, `accounts[0].hostedsuite.url`; empty for the file as a whole.
    pub key: String,
    /// What is wrong, in lower case and without a full stop.
    pub message: String,
    /// How to correct it, if known.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// Why a configuration was rejected: all mistakes, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// An error of one mistake or more.
    pub fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.place);
        Self { problems }
    }

    /// The mistakes, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// An error that concerns the whole file.
    pub fn whole(file: &Path, message: String, hint: Option<String>) -> Self {
        Self::new(vec![Problem {
            file: file.to_path_buf(),
            place: None,
            key: String::new(),
            message,
            hint,
        }])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// A hint for a word that is not known: the word that was probably meant, or all of them after
/// `otherwise`.
pub fn suggest<'w>(
    written: &str,
    known: impl IntoIterator<Item = &'w str>,
    otherwise: &str,
) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match did_you_mean(written, known.iter().copied()) {
        Some(word) => format!("did you mean {word:?}?"),
        None => format!("{otherwise} {}", known.join(", ")),
    }
}

/// The word of `known` that `written` was probably meant to be.
pub fn did_you_mean<W: AsRef<str>>(written: &str, known: impl IntoIterator<Item = W>) -> Option<W> {
    let written = written.to_lowercase();
    known
        .into_iter()
        .filter_map(|word| {
            let known = word.as_ref().to_lowercase();
            let likeness = strsim::jaro_winkler(&written, &known);
            let near = likeness > 0.75 || strsim::osa_distance(&written, &known) == 1;
            near.then_some((likeness, word))
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_offered_and_a_far_one_is_not() {
        let keys = ["lookback", "page_size", "settle", "every"];
        assert_eq!(did_you_mean("pagesize", keys), Some("page_size"));
        assert_eq!(did_you_mean("Setle", keys), Some("settle"));
        assert_eq!(did_you_mean("jvs", ["json", "jsv"]), Some("jsv"));
        assert_eq!(did_you_mean("currency", keys), None);
    }
}
