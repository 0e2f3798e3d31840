//! Reading a spec: its text, its values with the line of each, and progenitor's model of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use openapiv3::OpenAPI;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

/// A spec as written: every value by its JSON pointer, with its line.
#[derive(Debug)]
pub struct Source {
    /// The file's name, as messages show it.
    pub name: PathBuf,
    /// The values, as JSON.
    pub root: Value,
    /// What progenitor reads. It skips keys that it does not know; see [`crate::dropped`].
    pub model: OpenAPI,
    lines: BTreeMap<String, u64>,
}

/// Why a spec cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be opened.
    #[error("{file}: cannot be read: {source}", file = file.display())]
    Open {
        /// The spec.
        file: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Not YAML, a duplicate key, or not OpenAPI.
    #[error("{file}:{line}: {what}", file = file.display())]
    Parse {
        /// The spec.
        file: PathBuf,
        /// Where, from 1; 0 when the parser does not know.
        line: u64,
        /// The message of the parser.
        what: String,
    },
}

impl Source {
    /// Reads the spec `path`, which messages call `name`.
    pub fn open(path: &Path, name: &Path) -> Result<Self, ReadError> {
        let text = std::fs::read_to_string(path).map_err(|source| ReadError::Open {
            file: name.to_owned(),
            source,
        })?;
        Self::parse(&text, name)
    }

    /// Reads a spec from its text.
    pub fn parse(text: &str, name: &Path) -> Result<Self, ReadError> {
        let fail = |error: &serde_saphyr::Error| ReadError::Parse {
            file: name.to_owned(),
            line: error.location().map_or(0, |place| place.line()),
            what: error.without_snippet().to_string(),
        };
        let tree: Spanned<Node> = serde_saphyr::from_str(text).map_err(|error| fail(&error))?;
        let mut lines = BTreeMap::new();
        let root = tree.value.into_value("", &mut lines);
        let model = serde_saphyr::from_str(text).map_err(|error| fail(&error))?;
        Ok(Self {
            name: name.to_owned(),
            root,
            model,
            lines,
        })
    }

    /// The line of the value at `pointer`, or of the nearest value around it.
    pub fn line(&self, pointer: &str) -> u64 {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.lines.get(pointer) {
                return *line;
            }
            match pointer.rfind('/') {
                Some(cut) => pointer = &pointer[..cut],
                None => return 1,
            }
        }
    }

    /// The value at `pointer`, following one `$ref`.
    pub fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        value
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|target| target.strip_prefix('#'))
            .and_then(|pointer| self.root.pointer(pointer))
            .unwrap_or(value)
    }
}

/// `pointer` with `key` appended, escaped as RFC 6901 requires.
pub fn join(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// A YAML value with the line of each part. The line of a member is that of its key, where a reader
/// looks.
#[derive(Debug)]
enum Node {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Sequence(Vec<Spanned<Node>>),
    Mapping(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl Node {
    fn into_value(self, pointer: &str, lines: &mut BTreeMap<String, u64>) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => value.into(),
            Self::Integer(value) => value.into(),
            Self::Float(value) => value.into(),
            Self::Text(value) => value.into(),
            Self::Sequence(items) => items
                .into_iter()
                .enumerate()
                .map(|(index, item)| {
                    let pointer = join(pointer, &index.to_string());
                    lines.insert(pointer.clone(), item.referenced.line());
                    item.value.into_value(&pointer, lines)
                })
                .collect(),
            Self::Mapping(members) => members
                .into_iter()
                .map(|(key, member)| {
                    let pointer = join(pointer, &key.value);
                    lines.insert(pointer.clone(), key.referenced.line());
                    let value = member.value.into_value(&pointer, lines);
                    (key.value, value)
                })
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Node, E> {
        i64::try_from(value)
            .map(Node::Integer)
            .map_err(|_| E::custom("an integer of a spec must fit 64 bits with sign"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut sequence = Vec::new();
        while let Some(item) = items.next_element()? {
            sequence.push(item);
        }
        Ok(Node::Sequence(sequence))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut mapping = Vec::new();
        while let Some(member) = members.next_entry()? {
            mapping.push(member);
        }
        Ok(Node::Mapping(mapping))
    }
}
