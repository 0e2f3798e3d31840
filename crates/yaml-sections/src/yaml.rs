//! A YAML file as a tree in which every node has its place, so that one reading reports all
//! mistakes.

use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Error as YamlError, Location, Spanned};

use crate::problem::{ConfigError, Place, Problem};

/// A configuration file that a person wrote is smaller than this.
pub const MAX_FILE_BYTES: u64 = 4 << 20;

/// A node with its place.
pub type Node = Spanned<Value>;

/// The value of a node. Scalars are text; the code that reads them decides on their type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// A scalar that YAML takes for a number or a boolean. Its text is in the file.
    Plain,
    /// Any other scalar.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<(Spanned<String>, Node)>),
}

/// Reads the YAML of `text`, which is the content of `file`.
pub fn parse(file: &Path, text: &str) -> Result<Node, ConfigError> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = error.without_snippet();
        let (message, hint) = describe(error);
        ConfigError::new(vec![Problem {
            file: file.to_path_buf(),
            place: error.location().and_then(Place::of),
            key: String::new(),
            message,
            hint,
        }])
    })
}

/// The text of a scalar as it is in the file.
pub fn source(text: &str, location: Location) -> Option<&str> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    text.get(start..start.checked_add(length)?)
}

/// A node as JSON, scalars typed as YAML says. `text` is the content of the file.
pub fn to_json(text: &str, node: &Node) -> serde_json::Value {
    use serde_json::Value as Json;
    match &node.value {
        Value::Null => Json::Null,
        Value::Text(text) => Json::String(text.clone()),
        Value::Plain => {
            let source = source(text, node.defined).unwrap_or_default();
            serde_saphyr::from_str(source).unwrap_or_else(|_| Json::String(source.to_owned()))
        }
        Value::List(items) => items.iter().map(|item| to_json(text, item)).collect(),
        Value::Map(members) => {
            let members = members.iter();
            members
                .map(|(key, node)| (key.value.clone(), to_json(text, node)))
                .collect()
        }
    }
}

fn describe(error: &YamlError) -> (String, Option<String>) {
    match error {
        YamlError::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or_default();
            let hint = Some("keep one of the two".to_owned());
            (format!("the key {key:?} is repeated"), hint)
        }
        YamlError::MultipleDocuments { .. } => (
            "a second document starts here".to_owned(),
            Some("remove the line --- and everything after it".to_owned()),
        ),
        other => {
            // Without the place, which the problem has already. An error inside of an alias names
            // two.
            let text = other.to_string();
            let text = text.lines().next().unwrap_or_default();
            let end = text.find(" at line ").unwrap_or(text.len());
            in_plain_words(text.get(..end).unwrap_or(text).trim())
        }
    }
}

fn is_word(text: &str) -> bool {
    !text.contains(' ')
}

/// Messages of the parser that name its own parts say what is wrong with the file instead.
fn in_plain_words(message: &str) -> (String, Option<String>) {
    let too_deep = message.starts_with("recursion limit");
    let (plain, hint) = if too_deep || message.starts_with("budget breached") {
        (
            "it is too large or too deep",
            "write out what its aliases (*name) repeat, or make it smaller",
        )
    } else if message.starts_with("recursive references") {
        (
            "an anchor (&name) contains an alias of itself",
            "write out what is meant",
        )
    } else if message.strip_prefix("invalid ").is_some_and(is_word) {
        (
            "a value does not fit its type (!!name)",
            "remove the type or change the value",
        )
    } else {
        return (message.to_owned(), None);
    };
    (plain.to_owned(), Some(hint.to_owned()))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Plain)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Value, E> {
        Ok(Value::Plain)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Value, E> {
        Ok(Value::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Plain)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(member) = members.next_entry()? {
            map.push(member);
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the parser says about these is about its own parts.
    #[test]
    fn errors_of_the_parser_are_about_the_file() {
        let repeated = |letters: &str, times: usize| {
            let mut lines = vec!["a: &a [x,x,x,x,x,x,x,x,x]".to_owned()];
            for pair in letters.as_bytes().windows(2) {
                let (before, name) = (char::from(pair[0]), char::from(pair[1]));
                let items = vec![format!("*{before}"); times].join(",");
                lines.push(format!("{name}: &{name} [{items}]"));
            }
            lines.join("\n")
        };
        for (text, wanted) in [
            (
                "a: &a [*a]\n".to_owned(),
                "app.yml:1:8: an anchor (&name) contains an alias of itself; write out what is meant",
            ),
            (
                repeated("abcdefgh", 8),
                "app.yml:6:20: it is too large or too deep; write out what its aliases (*name) repeat, or make it smaller",
            ),
            (
                "[".repeat(1000),
                "app.yml:1:256: it is too large or too deep; write out what its aliases (*name) repeat, or make it smaller",
            ),
            (
                "a: !!int x\n".to_owned(),
                "app.yml:1:10: a value does not fit its type (!!name); remove the type or change the value",
            ),
            (
                "a: *x\n".to_owned(),
                "app.yml:1:4: alias references unknown anchor",
            ),
        ] {
            let error = parse(Path::new("app.yml"), &text).unwrap_err();
            assert_eq!(error.to_string(), wanted);
        }
    }
}
