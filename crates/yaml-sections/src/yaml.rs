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
            // Without the place, which the problem has already.
            let text = other.to_string();
            let text = text.lines().next().unwrap_or_default();
            let end = text.rfind(" at line ").unwrap_or(text.len());
            (text.get(..end).unwrap_or(text).trim().to_owned(), None)
        }
    }
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
