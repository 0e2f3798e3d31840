//! The body of a request: some records of a batch as JSON.

use std::ops::Range;

use callmeter_plugin_sdk::Batch;
use callmeter_plugin_sdk::batch::{Column, Value};
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

use crate::redact::{Treated, Treatment};

/// The columns that identify a record. They are always sent: a record of a stream that has no
/// column of `fields` would be empty otherwise.
const KEY: [&str; 2] = ["account", "sequence"];

/// The columns of a batch that are sent, and how.
pub(crate) struct Selection<'a> {
    columns: Vec<(Column<'a>, Treatment)>,
}

impl<'a> Selection<'a> {
    pub(crate) fn new(batch: &'a Batch, fields: Option<&[String]>, reveal: &[String]) -> Self {
        let listed =
            |name: &str| fields.is_none_or(|fields| fields.iter().any(|field| field == name));
        let wanted = |name: &str| KEY.contains(&name) || listed(name);
        let columns = batch
            .columns()
            .filter(|column| wanted(column.name()))
            .map(|column| (column, Treatment::of(column.name(), reveal)))
            .collect();
        Self { columns }
    }
}

/// A request's body. The same batch and rows give the same bytes, however often they are sent.
pub(crate) struct Body<'a> {
    pub(crate) batch: &'a Batch,
    pub(crate) selection: &'a Selection<'a>,
    pub(crate) rows: Range<usize>,
    pub(crate) id: &'a str,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let observed = self.batch.column("observed_at");
        let observed = observed.map_or(Value::Null, |column| column.value(self.rows.start));
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("type", self.batch.stream().name())?;
        map.serialize_entry("schema", self.batch.schema_name())?;
        map.serialize_entry("id", self.id)?;
        map.serialize_entry("timestamp", &observed)?;
        map.serialize_entry("data", &Records(self))?;
        map.end()
    }
}

struct Records<'a>(&'a Body<'a>);

impl Serialize for Records<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut records = serializer.serialize_seq(Some(self.0.rows.len()))?;
        for row in self.0.rows.clone() {
            records.serialize_element(&Record(self.0.selection, row))?;
        }
        records.end()
    }
}

struct Record<'a>(&'a Selection<'a>, usize);

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.columns.len()))?;
        for (column, treatment) in &self.0.columns {
            map.serialize_entry(column.name(), &Treated::new(column, self.1, *treatment))?;
        }
        map.end()
    }
}
