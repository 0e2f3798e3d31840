//! Records as JSON: timestamps as RFC 3339 text, decimals as text so that nothing is rounded, lists
//! and structs as arrays and objects, missing values as null.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::column::{List, Struct, Value};
use super::owned::Batch;
use super::row::Row;
use super::value::{Decimal, Timestamp};

impl Batch {
    /// One JSON object per record and line, each with a line feed.
    pub fn to_ndjson(&self) -> String {
        let mut out = Vec::with_capacity(self.len() * 512);
        for row in self.rows() {
            // Writing to a Vec does not fail, and every value can be written as JSON (NaN as null).
            if serde_json::to_writer(&mut out, &row).is_ok() {
                out.push(b'\n');
            }
        }
        // serde_json writes UTF-8.
        String::from_utf8(out).unwrap_or_default()
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Text(value) => serializer.serialize_str(value),
            Value::Timestamp(value) => value.serialize(serializer),
            Value::Decimal(value) => value.serialize(serializer),
            Value::List(value) => value.serialize(serializer),
            Value::Struct(value) => value.serialize(serializer),
        }
    }
}

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut items = serializer.serialize_seq(Some(self.len()))?;
        for item in self.iter() {
            items.serialize_element(&item)?;
        }
        items.end()
    }
}

impl Serialize for Struct<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = self.iter();
        let mut map = serializer.serialize_map(Some(members.len()))?;
        for (name, value) in members {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns = self.iter();
        let mut map = serializer.serialize_map(Some(columns.len()))?;
        for (name, value) in columns {
            map.serialize_entry(name, &value)?;
        }
        map.end()
    }
}
