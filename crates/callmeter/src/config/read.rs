//! From the file's bytes to the raw configuration, with the reader's errors turned into problems.

use std::path::Path;

use serde_saphyr::Error as YamlError;

use super::problem::{ConfigError, Place, Problem, did_you_mean};
use super::raw;

/// A configuration larger than this is not one that a person wrote.
const MAX_FILE_BYTES: usize = 4 << 20;

/// Reads the YAML of `text`, which is the content of `file`.
pub(super) fn parse(file: &Path, text: &str) -> Result<raw::File, ConfigError> {
    if text.len() > MAX_FILE_BYTES {
        return Err(ConfigError::whole(
            file,
            format!(
                "the file has {} bytes, more than {MAX_FILE_BYTES}",
                text.len()
            ),
            None,
        ));
    }
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
    };
    // The path is looked at only when reading fails: the place is the reader's own knowledge.
    let mut key = String::new();
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            key = error.path().to_string();
            error.into_inner()
        })
    })
    .map_err(|error| ConfigError::new(vec![problem(file, &key, &error)]))
}

fn problem(file: &Path, key: &str, error: &YamlError) -> Problem {
    let error = error.without_snippet();
    let place = error.location().and_then(Place::of);
    let (message, hint) = words(error);
    Problem {
        file: file.to_path_buf(),
        place,
        key: dotted(key),
        message,
        hint,
    }
}

/// The key as people write it: the steps into `Spanned` and the reader's "unknown" are no keys.
fn dotted(path: &str) -> String {
    path.split('.')
        .filter(|step| !matches!(*step, "" | "value" | "?"))
        .collect::<Vec<_>>()
        .join(".")
}

fn words(error: &YamlError) -> (String, Option<String>) {
    match error {
        YamlError::SerdeUnknownField {
            field, expected, ..
        } => {
            let hint = match did_you_mean(field, expected.iter().copied()) {
                Some(word) => format!("did you mean {word:?}?"),
                None => format!("known here: {}", expected.join(", ")),
            };
            (format!("unknown key {field:?}"), Some(hint))
        }
        YamlError::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or_default();
            let message = format!("the key {key:?} stands here a second time");
            (message, Some("keep one of the two".to_owned()))
        }
        YamlError::MultipleDocuments { .. } => (
            "a second document begins".to_owned(),
            Some("remove the line --- and what follows".to_owned()),
        ),
        YamlError::Unexpected { expected, .. } => match *expected {
            "mapping start" => (
                "is not a map".to_owned(),
                Some("write its keys below it, indented, or as { key: value }".to_owned()),
            ),
            "sequence start" => (
                "is not a list".to_owned(),
                Some("write its entries below it, each after a dash, or as [a, b]".to_owned()),
            ),
            other => (format!("expected {other}"), None),
        },
        other => (plain(&other.to_string()), None),
    }
}

/// The reader's own words, without the place that the problem already carries.
fn plain(text: &str) -> String {
    let text = text.lines().next().unwrap_or_default();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text.get(..end).unwrap_or(text).trim().to_owned()
}
