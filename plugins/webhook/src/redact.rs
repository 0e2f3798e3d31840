//! Personal data in records: which columns have it, and what is sent instead.

use callmeter_plugin_sdk::batch::{Column, List, Struct, Value};
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use serde_json::Map;

/// Columns with personal data, or with text that may contain some.
pub(crate) const PERSONAL: [&str; 9] = [
    "caller_name",
    "caller_number",
    "transfer_to_name",
    "transfer_to_number",
    "notes",
    "flag_notes",
    "screen_pop",
    "interactions",
    "unreadable",
];

/// Replaces a text that is not sent.
const REDACTED: &str = "[redacted]";

/// The member of an interaction that is free text.
const FREE_TEXT: &str = "description";

/// How the values of a column are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// As they are.
    Plain,
    /// Only whether there is a value.
    Hidden,
    /// A list of structs without their free text.
    FreeTextHidden,
    /// A JSON object whose names are sent and whose texts are not.
    TextsHidden,
}

impl Treatment {
    pub(crate) fn of(column: &str, reveal: &[String]) -> Self {
        if !PERSONAL.contains(&column) || reveal.iter().any(|name| name == column) {
            return Self::Plain;
        }
        match column {
            "interactions" => Self::FreeTextHidden,
            "unreadable" => Self::TextsHidden,
            _ => Self::Hidden,
        }
    }
}

/// A value of a record as it is sent.
pub(crate) struct Treated<'a> {
    value: Value<'a>,
    treatment: Treatment,
}

impl<'a> Treated<'a> {
    pub(crate) fn new(column: &Column<'a>, row: usize, treatment: Treatment) -> Self {
        Self {
            value: column.value(row),
            treatment,
        }
    }
}

impl Serialize for Treated<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.treatment, &self.value) {
            (Treatment::Plain, value) => value.serialize(serializer),
            (_, Value::Null) => serializer.serialize_unit(),
            (Treatment::FreeTextHidden, Value::List(list)) => items(*list, serializer),
            (Treatment::TextsHidden, Value::Text(json)) => texts(json, serializer),
            // Values of an unexpected form are redacted too.
            _ => serializer.serialize_str(REDACTED),
        }
    }
}

fn items<S: Serializer>(list: List<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut sequence = serializer.serialize_seq(Some(list.len()))?;
    for item in list.iter() {
        match item {
            Value::Struct(members) => sequence.serialize_element(&Item(members))?,
            Value::Null => sequence.serialize_element(&())?,
            _ => sequence.serialize_element(REDACTED)?,
        }
    }
    sequence.end()
}

struct Item<'a>(Struct<'a>);

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.iter() {
            if name == FREE_TEXT && !matches!(value, Value::Null) {
                map.serialize_entry(name, REDACTED)?;
            } else {
                map.serialize_entry(name, &value)?;
            }
        }
        map.end()
    }
}

fn texts<S: Serializer>(json: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let Ok(members) = serde_json::from_str::<Map<String, serde_json::Value>>(json) else {
        return serializer.serialize_str(REDACTED);
    };
    let hidden: Map<_, _> = members
        .into_iter()
        .map(|(name, _)| (name, REDACTED.into()))
        .collect();
    // As text, like the column itself.
    match serde_json::to_string(&hidden) {
        Ok(text) => serializer.serialize_str(&text),
        Err(_) => serializer.serialize_str(REDACTED),
    }
}
