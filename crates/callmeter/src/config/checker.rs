//! The validation's tools: each takes a raw value with its key, gives the checked one, and notes
//! what is wrong. A wrong value yields the default, so that one reading reports all mistakes.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_saphyr::{Location, Spanned};

use super::problem::{Place, Problem, did_you_mean};
use super::raw::Text;
use super::values::{format_duration, format_size, parse_duration, parse_size};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);
pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const DAY: Duration = Duration::from_hours(24);

/// Collects what is wrong while the values pass.
pub(super) struct Checker<'a> {
    file: &'a Path,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(file: &'a Path) -> Self {
        Self {
            file,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The mistakes and the warnings.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.problems, self.warnings)
    }

    pub(super) fn problem(
        &mut self,
        at: Option<Location>,
        key: &str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let problem = self.make(at, key, message.into(), hint);
        self.problems.push(problem);
    }

    pub(super) fn warning(&mut self, at: Option<Location>, key: &str, message: impl Into<String>) {
        let problem = self.make(at, key, message.into(), None);
        self.warnings.push(problem);
    }

    fn make(
        &self,
        at: Option<Location>,
        key: &str,
        message: String,
        hint: Option<String>,
    ) -> Problem {
        Problem {
            file: self.file.to_path_buf(),
            place: at.and_then(Place::of),
            key: key.to_owned(),
            message,
            hint,
        }
    }

    /// A text that must be there and not be blank.
    pub(super) fn required<'t>(
        &mut self,
        parent: Location,
        key: &str,
        value: Option<&'t Text>,
        teach: &str,
    ) -> Option<&'t Text> {
        match value {
            Some(text) if text.value.trim().is_empty() => {
                self.problem(
                    Some(text.referenced),
                    key,
                    "is empty",
                    Some(teach.to_owned()),
                );
                None
            }
            Some(text) => Some(text),
            None => {
                self.problem(Some(parent), key, "is missing", Some(teach.to_owned()));
                None
            }
        }
    }

    pub(super) fn duration(
        &mut self,
        key: &str,
        value: Option<&Text>,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let Some(text) = value else { return default };
        match parse_duration(&text.value) {
            Ok(duration) if range.contains(&duration) => duration,
            Ok(_) => {
                let message = format!(
                    "{} is out of range; from {} to {}",
                    text.value,
                    format_duration(*range.start()),
                    format_duration(*range.end())
                );
                self.problem(Some(text.referenced), key, message, None);
                default
            }
            Err(message) => {
                self.problem(Some(text.referenced), key, message, None);
                default
            }
        }
    }

    pub(super) fn size(
        &mut self,
        key: &str,
        value: Option<&Text>,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> u64 {
        let Some(text) = value else { return default };
        match parse_size(&text.value) {
            Ok(size) if range.contains(&size) => size,
            Ok(_) => {
                let message = format!(
                    "{} is out of range; from {} to {}",
                    text.value,
                    format_size(*range.start()),
                    format_size(*range.end())
                );
                self.problem(Some(text.referenced), key, message, None);
                default
            }
            Err(message) => {
                self.problem(Some(text.referenced), key, message, None);
                default
            }
        }
    }

    pub(super) fn number(
        &mut self,
        key: &str,
        value: Option<&Text>,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> u64 {
        let Some(text) = value else { return default };
        match text.value.trim().parse::<u64>() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let message = format!(
                    "{:?} is not a whole number from {} to {}",
                    text.value,
                    range.start(),
                    range.end()
                );
                self.problem(Some(text.referenced), key, message, None);
                default
            }
        }
    }

    /// [`number`](Self::number) for what is counted in 32 bits.
    pub(super) fn small(
        &mut self,
        key: &str,
        value: Option<&Text>,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> u32 {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        let number = self.number(key, value, u64::from(default), range);
        u32::try_from(number).unwrap_or(default)
    }

    pub(super) fn boolean(&mut self, key: &str, value: Option<&Text>, default: bool) -> bool {
        let Some(text) = value else { return default };
        match text.value.as_str() {
            "true" => true,
            "false" => false,
            other => {
                let message = format!("{other:?} is neither true nor false");
                self.problem(Some(text.referenced), key, message, None);
                default
            }
        }
    }

    /// One word of a list; the match is exact, the hint lenient.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &str,
        text: &Text,
        words: &[(&str, T)],
    ) -> Option<T> {
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = match did_you_mean(&text.value, known.iter().copied()) {
            Some(word) => format!("did you mean {word:?}?"),
            None => format!("one of {}", known.join(", ")),
        };
        let message = format!("{:?} is not known here", text.value);
        self.problem(Some(text.referenced), key, message, Some(hint));
        None
    }

    /// The directory of the configuration file.
    pub(super) fn directory(&self) -> &'a Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// A path; a relative one is counted from the directory of the configuration file.
    pub(super) fn path(&self, text: &Text) -> PathBuf {
        self.directory().join(text.value.as_str())
    }
}

/// The place of a node that may be missing.
pub(super) fn place_of<T>(value: Option<&Spanned<T>>) -> Option<Location> {
    value.map(|value| value.referenced)
}
