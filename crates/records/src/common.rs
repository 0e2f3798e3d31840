//! The first five columns, which every stream has.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, TimeUnit};

use crate::column_lookup::{Columns, ViewError};
use crate::money;
use crate::stream::Stream;

/// The names of the columns that every stream has.
pub(crate) mod columns {
    pub(crate) const ACCOUNT: &str = "account";
    pub(crate) const SEQUENCE: &str = "sequence";
    pub(crate) const REVISION: &str = "revision";
    pub(crate) const CHANGE: &str = "change";
    pub(crate) const OBSERVED_AT: &str = "observed_at";
    pub(crate) const UNREADABLE: &str = "unreadable";
}

/// What a row says about its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Seen for the first time.
    New,
    /// Seen before with other contents.
    Revised,
    /// No longer there (rates).
    Removed,
}

impl Change {
    /// The text in the column `change`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Revised => "revised",
            Self::Removed => "removed",
        }
    }

    /// The change that a text of the column `change` means.
    #[inline]
    pub fn parse(text: &str) -> Option<Self> {
        // Comparisons with constants, which are faster than a search.
        match text {
            "new" => Some(Self::New),
            "revised" => Some(Self::Revised),
            "removed" => Some(Self::Removed),
            _ => None,
        }
    }
}

/// What the rows of one batch share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHead<'a> {
    /// The account's name in the configuration.
    pub account: &'a str,
    /// The `sequence` of the first row; each further row has one more.
    pub first_sequence: i64,
    /// When the records were read: UTC, microseconds.
    pub observed_at: i64,
}

/// What a row says about its record beside the record itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowMark {
    /// 0 for a record as first seen, 1 more for each change of it.
    pub revision: i32,
    /// What happened to the record.
    pub change: Change,
}

impl RowMark {
    /// A record that was never seen before.
    pub const NEW: Self = Self {
        revision: 0,
        change: Change::New,
    };
}

/// The time zone of every timestamp column.
pub(crate) const UTC: &str = "+00:00";

pub(crate) fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

pub(crate) fn decimal_type() -> DataType {
    DataType::Decimal128(money::PRECISION, money::SCALE)
}

pub(crate) fn schema_of(stream: Stream, own: Vec<Field>) -> arrow_schema::SchemaRef {
    let mut fields = vec![
        Field::new(columns::ACCOUNT, DataType::Utf8, false),
        Field::new(columns::SEQUENCE, DataType::Int64, false),
        Field::new(columns::REVISION, DataType::Int32, false),
        Field::new(columns::CHANGE, DataType::Utf8, false),
        Field::new(columns::OBSERVED_AT, timestamp_type(), false),
    ];
    fields.extend(own);
    let metadata = [(
        Stream::SCHEMA_KEY.to_owned(),
        stream.schema_name().to_owned(),
    )];
    Arc::new(arrow_schema::Schema::new_with_metadata(fields, metadata))
}

/// Builds the first five columns.
#[derive(Debug, Default)]
pub(crate) struct CommonBuilder {
    revisions: Vec<i32>,
    changes: StringBuilder,
}

impl CommonBuilder {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self {
            revisions: Vec::with_capacity(rows),
            changes: StringBuilder::with_capacity(rows, rows * 4),
        }
    }

    pub(crate) fn append(&mut self, mark: RowMark) {
        self.revisions.push(mark.revision);
        self.changes.append_value(mark.change.as_str());
    }

    pub(crate) fn len(&self) -> usize {
        self.revisions.len()
    }

    pub(crate) fn finish(&mut self, head: &BatchHead<'_>) -> Vec<ArrayRef> {
        let rows = self.len();
        let mut accounts = StringBuilder::with_capacity(rows, rows * head.account.len());
        for _ in 0..rows {
            accounts.append_value(head.account);
        }
        vec![
            Arc::new(accounts.finish()),
            Arc::new(Int64Array::from_iter_values(
                (head.first_sequence..).take(rows),
            )),
            Arc::new(Int32Array::from(std::mem::take(&mut self.revisions))),
            Arc::new(self.changes.finish()),
            Arc::new(
                TimestampMicrosecondArray::from(vec![head.observed_at; rows]).with_timezone(UTC),
            ),
        ]
    }
}

/// Reads the first five columns of a batch of any stream.
#[derive(Clone, Copy, Debug)]
pub struct CommonView<'a> {
    rows: usize,
    account: &'a StringArray,
    sequence: &'a Int64Array,
    revision: &'a Int32Array,
    change: &'a StringArray,
    observed_at: &'a TimestampMicrosecondArray,
}

impl<'a> CommonView<'a> {
    /// A view of `batch`, which has to have the five columns.
    pub fn new(batch: &'a RecordBatch) -> Result<Self, ViewError> {
        let columns = Columns::new(batch);
        Ok(Self {
            rows: batch.num_rows(),
            account: columns.get(columns::ACCOUNT)?,
            sequence: columns.get(columns::SEQUENCE)?,
            revision: columns.get(columns::REVISION)?,
            change: columns.get(columns::CHANGE)?,
            observed_at: columns.get(columns::OBSERVED_AT)?,
        })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The account of a row. Like all of these accessors, it panics if there is no such row.
    #[inline]
    pub fn account(&self, row: usize) -> &'a str {
        self.account.value(row)
    }

    /// The row's place in its stream.
    #[inline]
    pub fn sequence(&self, row: usize) -> i64 {
        self.sequence.value(row)
    }

    /// The record's revision.
    #[inline]
    pub fn revision(&self, row: usize) -> i32 {
        self.revision.value(row)
    }

    /// What happened to the record; `None` for a text that this version does not know.
    #[inline]
    pub fn change(&self, row: usize) -> Option<Change> {
        Change::parse(self.change.value(row))
    }

    /// When the record was read: UTC, microseconds.
    #[inline]
    pub fn observed_at(&self, row: usize) -> i64 {
        self.observed_at.value(row)
    }
}
