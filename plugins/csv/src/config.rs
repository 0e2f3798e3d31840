//! The configuration of a CSV output, checked in full before the first record.

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use crate::error::{ConfigError, ConfigErrors};

/// The JSON Schema of [`Config`], shown by `callmeter plugin check`.
pub(crate) const SCHEMA: &str = include_str!("config.schema.json");

/// `config:` of a CSV output.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The directory for the files: an absolute path. Created with mode 0750 if its parent exists.
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// Instead of `directory`: the absolute path of a single file, for one stream.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// When a file is finished and the next one is started.
    #[serde(default)]
    pub rotate: Option<Rotate>,
    /// A file is also finished when it reaches this size.
    #[serde(default)]
    pub max_bytes: Option<Bytes>,
    /// How finished files are compressed.
    #[serde(default)]
    pub compress: Compress,
    /// Puts `'` before text that a spreadsheet would run as a formula.
    #[serde(default)]
    pub guard_formulas: bool,
    /// The start of every file name, before the stream.
    #[serde(default)]
    pub prefix: String,
}

/// The period of time that goes into one file, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rotate {
    /// A day.
    #[default]
    Daily,
    /// An hour.
    Hourly,
    /// All time; with `max_bytes`, until the file is full.
    Never,
}

/// How finished files are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compress {
    /// Nothing.
    #[default]
    None,
    /// gzip.
    Gzip,
}

/// A number of bytes: `1048576`, or with a unit `100MiB`, `1GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected a number of bytes such as 1048576 or 100MiB"
        )]
        enum Written {
            Number(u64),
            Text(String),
        }
        let bytes = match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Some(bytes),
            Written::Text(text) => parse_bytes(&text),
        };
        bytes
            .filter(|bytes| *bytes > 0)
            .map(Self)
            .ok_or_else(|| D::Error::custom("expected a number of bytes such as 1048576 or 100MiB"))
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits)?;
    let factor: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Where the files are and how they are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `directory`/`prefix``stream`-`period`.csv
    Directory { directory: PathBuf, prefix: String },
    /// One file.
    File { directory: PathBuf, name: String },
}

impl Place {
    pub(crate) fn directory(&self) -> &Path {
        match self {
            Self::Directory { directory, .. } | Self::File { directory, .. } => directory,
        }
    }

    /// The file that says what is durable.
    pub(crate) fn state(&self) -> PathBuf {
        self.directory().join(match self {
            Self::Directory { prefix, .. } => format!(".{prefix}callmeter-csv.state"),
            Self::File { name, .. } => format!(".{name}.state"),
        })
    }
}

impl Config {
    /// Where the files are, or everything that the types cannot express and that is wrong.
    pub(crate) fn place(&self) -> Result<Place, ConfigErrors> {
        let mut wrong = Vec::new();
        let place = match (&self.directory, &self.file) {
            (Some(directory), None) => {
                wrong.extend(absolute("directory", directory).err());
                wrong.extend(check_prefix(&self.prefix).err());
                let endless = self.rotate == Some(Rotate::Never) && self.max_bytes.is_none();
                if endless && self.compress != Compress::None {
                    wrong.push(ConfigError::Endless);
                }
                Some(Place::Directory {
                    directory: directory.clone(),
                    prefix: self.prefix.clone(),
                })
            }
            (None, Some(file)) => self.single(file, &mut wrong),
            _ => {
                wrong.push(ConfigError::Place);
                None
            }
        };
        match place {
            Some(place) if wrong.is_empty() => Ok(place),
            _ => Err(ConfigErrors(wrong)),
        }
    }

    fn single(&self, file: &Path, wrong: &mut Vec<ConfigError>) -> Option<Place> {
        wrong.extend(absolute("file", file).err());
        let rotates = !matches!(self.rotate, None | Some(Rotate::Never));
        if rotates || self.max_bytes.is_some() || self.compress != Compress::None {
            wrong.push(ConfigError::OneFile);
        }
        if !self.prefix.is_empty() {
            wrong.push(ConfigError::Prefix("it goes with `directory` only"));
        }
        let parts = (
            file.parent(),
            file.file_name().and_then(|name| name.to_str()),
        );
        let (Some(directory), Some(name)) = parts else {
            wrong.push(ConfigError::Path {
                key: "file",
                problem: "it must name a file, in UTF-8",
            });
            return None;
        };
        Some(Place::File {
            directory: directory.to_owned(),
            name: name.to_owned(),
        })
    }
}

fn absolute(key: &'static str, path: &Path) -> Result<(), ConfigError> {
    let problem = if !path.is_absolute() {
        "it must be an absolute path"
    } else if path.components().any(|part| part == Component::ParentDir) {
        "it must not contain `..`"
    } else {
        return Ok(());
    };
    Err(ConfigError::Path { key, problem })
}

fn check_prefix(prefix: &str) -> Result<(), ConfigError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if prefix.starts_with('.') {
        return Err(ConfigError::Prefix("it must not begin with a dot"));
    }
    if prefix.len() > 64 || !prefix.chars().all(allowed) {
        return Err(ConfigError::Prefix(
            "it must be at most 64 letters, digits and `-_.`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(json: serde_json::Value) -> Result<Place, String> {
        let config: Config = serde_json::from_value(json).map_err(|error| error.to_string())?;
        config.place().map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_configuration_may_say() {
        use serde_json::json;
        assert!(
            place(
                json!({"directory": "/var/lib/csv", "rotate": "hourly", "compress": "gzip",
            "max_bytes": "100MiB", "guard_formulas": true, "prefix": "acme-"})
            )
            .is_ok()
        );
        assert!(place(json!({"file": "/var/lib/calls.csv", "rotate": "never"})).is_ok());
        let refused = [
            json!({}),
            json!({"directory": "/a", "file": "/b"}),
            json!({"directory": "csv"}),
            json!({"directory": "/var/../etc"}),
            json!({"directory": "/a", "prefix": "../x"}),
            json!({"directory": "/a", "prefix": ".x"}),
            json!({"directory": "/a", "max_bytes": "10 parsecs"}),
            json!({"directory": "/a", "max_bytes": 0}),
            json!({"directory": "/a", "rotate": "weekly"}),
            json!({"directory": "/a", "rotato": "daily"}),
            json!({"directory": "/a", "rotate": "never", "compress": "gzip"}),
            json!({"file": "/a/b.csv", "rotate": "daily"}),
            json!({"file": "/a/b.csv", "compress": "gzip"}),
            json!({"file": "/"}),
            json!({"file": "a.csv", "rotate": "daily", "prefix": "x"}),
            json!({"directory": "csv", "prefix": ".x", "rotate": "never", "compress": "gzip"}),
            json!({"directory": "/a", "max_bytes": 0.5}),
        ];
        let texts: Vec<String> = refused
            .into_iter()
            .map(|json| {
                let text = json.to_string();
                format!("{text}\n    {}", place(json).unwrap_err())
            })
            .collect();
        insta::assert_snapshot!(texts.join("\n"));
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_bytes("100MiB"), Some(100 << 20));
        assert_eq!(parse_bytes("2 GB"), Some(2_000_000_000));
        assert_eq!(parse_bytes("17"), Some(17));
        for text in ["", "MiB", "1.5GiB", "-1", "99999999999GiB"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn the_schema_names_every_key() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        let keys: Vec<&str> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let all = [
            "compress",
            "directory",
            "file",
            "guard_formulas",
            "max_bytes",
            "prefix",
            "rotate",
        ];
        assert_eq!(keys, all);
        let error = serde_json::from_str::<Config>(r#"{"x":1}"#)
            .unwrap_err()
            .to_string();
        assert!(
            all.iter().all(|key| error.contains(&format!("`{key}`"))),
            "{error}"
        );
    }
}
