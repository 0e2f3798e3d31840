//! Reads the keys of one map of the file. Each method reads one key, checks its value and reports
//! mistakes; an invalid value yields the default, so that reading continues. Keys that were never
//! read are reported as unknown.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_saphyr::{Location, Spanned};

use crate::problem::suggest;
use crate::problems::Problems;
use crate::values::{format_duration, format_size, parse_duration, parse_size};
use crate::yaml::{self, Node, Value};

/// A second, for ranges.
pub const SECOND: Duration = Duration::from_secs(1);
/// A minute.
pub const MINUTE: Duration = Duration::from_secs(60);
/// An hour.
pub const HOUR: Duration = Duration::from_secs(60 * 60);
/// A day of 24 hours.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A map of the file.
pub struct Section<'f> {
    problems: &'f Problems<'f>,
    /// The dotted key; empty for the whole file.
    key: String,
    at: Option<Location>,
    members: &'f [(Spanned<String>, Node)],
    /// The keys that were read.
    known: Vec<&'static str>,
    /// Whether any key is allowed.
    is_open: bool,
}

/// A scalar with its key and its place.
#[derive(Debug, Clone)]
pub struct Text {
    /// What is written, without quotation marks.
    pub value: String,
    /// Its dotted key.
    pub key: String,
    /// Where it is.
    pub at: Location,
}

impl<'f> Section<'f> {
    /// The map of a node; `None`, and a mistake, if it is something else.
    pub fn new(problems: &'f Problems<'f>, key: String, node: &'f Node) -> Option<Self> {
        let members = match &node.value {
            Value::Map(members) => members.as_slice(),
            Value::Null => &[],
            _ => {
                let hint = "write its keys below it, indented, or as { key: value }";
                let at = Some(node.referenced);
                problems.mistake(at, &key, "is not a map", Some(hint.to_owned()));
                return None;
            }
        };
        Some(Self {
            problems,
            at: (!key.is_empty()).then_some(node.referenced),
            key,
            members,
            known: Vec::new(),
            is_open: false,
        })
    }

    /// The mistakes of the file.
    pub fn problems(&self) -> &'f Problems<'f> {
        self.problems
    }

    /// The place of the map; `None` for the whole file.
    pub fn at(&self) -> Option<Location> {
        self.at
    }

    /// The dotted key of the map.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether it has no key at all, not even one without a value: `{}`.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The dotted key of a member.
    pub fn key_of(&self, name: &str) -> String {
        match self.key.as_str() {
            "" => name.to_owned(),
            key => format!("{key}.{name}"),
        }
    }

    /// The place of a member's value.
    pub fn place(&self, name: &str) -> Option<Location> {
        let member = self.members.iter().find(|(key, _)| key.value == name);
        member.map(|(_, node)| node.referenced)
    }

    /// Reports a mistake in a member, at its value, or at the map if it is missing.
    pub fn mistake(&self, name: &str, message: impl Into<String>, hint: Option<String>) {
        let at = self.place(name).or(self.at);
        self.problems.mistake(at, &self.key_of(name), message, hint);
    }

    /// The node of a key; `None` if it is missing or null.
    pub fn node(&mut self, name: &'static str) -> Option<&'f Node> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        let member = self.members.iter().find(|(key, _)| key.value == name);
        member
            .map(|(_, node)| node)
            .filter(|node| node.value != Value::Null)
    }

    /// The map under a key; `None`, and a mistake, if it is something else. A missing map is empty.
    pub fn section(&mut self, name: &'static str) -> Option<Self> {
        let key = self.key_of(name);
        match self.node(name) {
            Some(node) => Self::new(self.problems, key, node),
            None => Some(Self {
                problems: self.problems,
                key,
                at: self.at,
                members: &[],
                known: Vec::new(),
                is_open: false,
            }),
        }
    }

    /// The list under a key; `None`, and a mistake, if it is something else. A missing list is
    /// empty.
    pub fn list(&mut self, name: &'static str) -> Option<&'f [Node]> {
        match self.node(name).map(|node| &node.value) {
            None => Some(&[]),
            Some(Value::List(items)) => Some(items),
            Some(_) => {
                let hint = "write its entries below it, each after a dash, or as [a, b]";
                self.mistake(name, "is not a list", Some(hint.to_owned()));
                None
            }
        }
    }

    /// The scalars of the list under a key.
    pub fn texts(&mut self, name: &'static str) -> Option<Vec<Text>> {
        let key = self.key_of(name);
        let items = self.list(name)?.iter().enumerate();
        Some(
            items
                .filter_map(|(index, node)| self.scalar(format!("{key}[{index}]"), node))
                .collect(),
        )
    }

    /// The scalar under a key.
    pub fn text(&mut self, name: &'static str) -> Option<Text> {
        let node = self.node(name)?;
        self.scalar(self.key_of(name), node)
    }

    fn scalar(&self, key: String, node: &Node) -> Option<Text> {
        let value = match &node.value {
            Value::Text(text) => Some(text.clone()),
            Value::Plain => yaml::source(self.problems.text, node.defined).map(str::to_owned),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        };
        let at = node.referenced;
        if value.is_none() {
            let hint = "write one value after the colon";
            let message = "is not a single value";
            self.problems
                .mistake(Some(at), &key, message, Some(hint.to_owned()));
        }
        Some(Text {
            value: value?,
            key,
            at,
        })
    }

    /// All scalars of a map whose keys are free, with their keys.
    pub fn entries(&mut self) -> Vec<(&'f str, Text)> {
        self.is_open = true;
        let members = self.members.iter();
        members
            .filter_map(|(key, node)| {
                let name = key.value.as_str();
                Some((name, self.scalar(self.key_of(name), node)?))
            })
            .collect()
    }

    /// A scalar that must be present and not blank. `teach` says what to write.
    pub fn required(&mut self, name: &'static str, teach: &str) -> Option<Text> {
        if self.node(name).is_none() {
            self.mistake(name, "is missing", Some(teach.to_owned()));
            return None;
        }
        let text = self.text(name)?;
        if text.value.trim().is_empty() {
            self.mistake(name, "is empty", Some(teach.to_owned()));
            return None;
        }
        Some(text)
    }

    /// The value that `parse` makes of a scalar, or the default.
    fn parsed<T>(
        &mut self,
        name: &'static str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(text) = self.text(name) else {
            return default;
        };
        parse(&text.value).unwrap_or_else(|message| {
            self.mistake(name, message, None);
            default
        })
    }

    /// A duration within a range, or the default.
    pub fn duration(
        &mut self,
        name: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        self.parsed(name, default, |text| {
            in_range(text, parse_duration(text)?, &range, format_duration)
        })
    }

    /// A duration of any length, without a default.
    pub fn optional_duration(&mut self, name: &'static str) -> Option<Duration> {
        self.parsed(name, None, |text| parse_duration(text).map(Some))
    }

    /// A number of bytes within a range, or the default.
    pub fn size(&mut self, name: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        self.parsed(name, default, |text| {
            in_range(text, parse_size(text)?, &range, format_size)
        })
    }

    /// A number within a range, or the default.
    pub fn number<N>(&mut self, name: &'static str, default: N, range: RangeInclusive<N>) -> N
    where
        N: std::str::FromStr + PartialOrd + std::fmt::Display,
    {
        self.parsed(name, default, |text| {
            let number = text.trim().parse().ok();
            number
                .filter(|number| range.contains(number))
                .ok_or_else(|| {
                    let (least, most) = (range.start(), range.end());
                    format!("{text:?} is not a whole number from {least} to {most}")
                })
        })
    }

    /// `true` or `false`, or the default.
    pub fn boolean(&mut self, name: &'static str, default: bool) -> bool {
        self.parsed(name, default, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(format!("{other:?} is neither true nor false")),
        })
    }

    /// One word of a list, or the default.
    pub fn word<T: Copy>(&mut self, name: &'static str, default: T, words: &[(&str, T)]) -> T {
        let text = self.text(name);
        text.and_then(|text| self.word_of(&text, words))
            .unwrap_or(default)
    }

    /// The meaning of a text that must be one word of a list.
    pub fn word_of<T: Copy>(&self, text: &Text, words: &[(&str, T)]) -> Option<T> {
        let word = words.iter().find(|(word, _)| *word == text.value);
        if word.is_none() {
            let message = format!("{:?} is not a valid value", text.value);
            let hint = suggest(&text.value, words.iter().map(|(word, _)| *word), "one of");
            self.problems
                .mistake(Some(text.at), &text.key, message, Some(hint));
        }
        word.map(|(_, value)| *value)
    }

    /// The directory of the configuration file.
    pub fn directory(&self) -> &'f Path {
        self.problems.file.parent().unwrap_or(Path::new(""))
    }

    /// A path. Relative ones are relative to the directory of the configuration file.
    pub fn path(&self, text: &Text) -> PathBuf {
        self.directory().join(&text.value)
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        if self.is_open {
            return;
        }
        for (key, _) in self.members {
            let name = key.value.as_str();
            if !self.known.contains(&name) {
                let message = format!("unknown key {name:?}");
                let hint = suggest(name, self.known.iter().copied(), "known keys:");
                self.problems.mistake(
                    Some(key.referenced),
                    &self.key_of(name),
                    message,
                    Some(hint),
                );
            }
        }
    }
}

fn in_range<T: PartialOrd + Copy>(
    text: &str,
    value: T,
    range: &RangeInclusive<T>,
    format: fn(T) -> String,
) -> Result<T, String> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (least, most) = (format(*range.start()), format(*range.end()));
    Err(format!("{text} is out of range; from {least} to {most}"))
}
