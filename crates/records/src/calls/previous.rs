//! The column `previous`: what a revised call was counted as.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{
    Array as _, ArrayRef, BooleanArray, Int32Array, Int64Array, StringArray, StructArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow_buffer::NullBufferBuilder;
use arrow_schema::{ArrowError, DataType, Field, Fields};

use super::fields::CallField;
use crate::column_lookup::{Columns, ViewError, text, truth, value};
use crate::common::{UTC, timestamp_type};

/// A call as it was counted before a revision: what a meter needs to correct the difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Previous<'a> {
    /// The revision that was counted.
    pub revision: i32,
    /// Its client.
    pub client_id: Option<&'a str>,
    /// Its center.
    pub center_id: Option<&'a str>,
    /// Its type, as the API wrote it.
    pub call_type: Option<&'a str>,
    /// Who answered it.
    pub answered_by: Option<&'a str>,
    /// Whether it was flagged.
    pub flagged: Option<bool>,
    /// The durations that were counted, in milliseconds, in the order of [`CallField::ALL`]. One
    /// that the API returned earlier, but not in this revision, is still counted.
    pub durations: [Option<i64>; 6],
    /// The `sequence` of that version. `None` in records of older versions of callmeter, as are the
    /// next two.
    pub sequence: Option<i64>,
    /// When that version was read, in microseconds since 1970.
    pub observed_at: Option<i64>,
    /// When the call began by that version, in microseconds since 1970.
    pub start_time: Option<i64>,
}

const REVISION: &str = "revision";
const CLIENT_ID: &str = "client_id";
const CENTER_ID: &str = "center_id";
const TYPE: &str = "type";
const ANSWERED_BY: &str = "answered_by";
const FLAGGED: &str = "flagged";
const SEQUENCE: &str = "sequence";
const OBSERVED_AT: &str = "observed_at";
const START_TIME: &str = "start_time";

fn fields() -> Fields {
    let text = |name| Field::new(name, DataType::Utf8, true);
    let mut fields = vec![
        Field::new(REVISION, DataType::Int32, false),
        text(CLIENT_ID),
        text(CENTER_ID),
        text(TYPE),
        text(ANSWERED_BY),
        Field::new(FLAGGED, DataType::Boolean, true),
    ];
    fields.extend(CallField::ALL.map(|field| Field::new(field.column(), DataType::Int64, true)));
    fields.extend([
        Field::new(SEQUENCE, DataType::Int64, true),
        Field::new(OBSERVED_AT, timestamp_type(), true),
        Field::new(START_TIME, timestamp_type(), true),
    ]);
    Fields::from(fields)
}

/// Most batches hold no revision, so the columns are built only from the first revision on.
#[derive(Debug, Default)]
pub(super) struct PreviousBuilder {
    rows: usize,
    columns: Option<Box<PreviousColumns>>,
}

#[derive(Debug)]
struct PreviousColumns {
    validity: NullBufferBuilder,
    revision: Int32Builder,
    client_id: StringBuilder,
    center_id: StringBuilder,
    call_type: StringBuilder,
    answered_by: StringBuilder,
    flagged: BooleanBuilder,
    durations: [Int64Builder; 6],
    sequence: Int64Builder,
    observed_at: TimestampMicrosecondBuilder,
    start_time: TimestampMicrosecondBuilder,
}

impl PreviousBuilder {
    pub(super) fn data_type() -> DataType {
        DataType::Struct(fields())
    }

    pub(super) fn append(&mut self, previous: Option<&Previous<'_>>) {
        if let Some(previous) = previous {
            let rows = self.rows;
            self.columns
                .get_or_insert_with(|| Box::new(PreviousColumns::of_nulls(rows)))
                .append(Some(previous));
        } else if let Some(columns) = &mut self.columns {
            columns.append(None);
        }
        self.rows += 1;
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        match self.columns.take() {
            None => Ok(new_null_array(&Self::data_type(), rows)),
            Some(columns) => Ok(Arc::new(columns.finish()?)),
        }
    }
}

impl PreviousColumns {
    fn of_nulls(rows: usize) -> Self {
        let mut columns = Self {
            validity: NullBufferBuilder::new(rows),
            revision: Int32Builder::new(),
            client_id: StringBuilder::new(),
            center_id: StringBuilder::new(),
            call_type: StringBuilder::new(),
            answered_by: StringBuilder::new(),
            flagged: BooleanBuilder::new(),
            durations: Default::default(),
            sequence: Int64Builder::new(),
            observed_at: TimestampMicrosecondBuilder::new(),
            start_time: TimestampMicrosecondBuilder::new(),
        };
        for _ in 0..rows {
            columns.append(None);
        }
        columns
    }

    fn append(&mut self, previous: Option<&Previous<'_>>) {
        self.validity.append(previous.is_some());
        let previous = previous.copied().unwrap_or_default();
        self.revision.append_value(previous.revision);
        self.client_id.append_option(previous.client_id);
        self.center_id.append_option(previous.center_id);
        self.call_type.append_option(previous.call_type);
        self.answered_by.append_option(previous.answered_by);
        self.flagged.append_option(previous.flagged);
        for (column, duration) in self.durations.iter_mut().zip(previous.durations) {
            column.append_option(duration);
        }
        self.sequence.append_option(previous.sequence);
        self.observed_at.append_option(previous.observed_at);
        self.start_time.append_option(previous.start_time);
    }

    fn finish(mut self) -> Result<StructArray, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.revision.finish()),
            Arc::new(self.client_id.finish()),
            Arc::new(self.center_id.finish()),
            Arc::new(self.call_type.finish()),
            Arc::new(self.answered_by.finish()),
            Arc::new(self.flagged.finish()),
        ];
        for mut column in self.durations {
            columns.push(Arc::new(column.finish()));
        }
        columns.push(Arc::new(self.sequence.finish()));
        for mut times in [self.observed_at, self.start_time] {
            columns.push(Arc::new(times.finish().with_timezone(UTC)));
        }
        StructArray::try_new(fields(), columns, self.validity.finish())
    }
}

/// The column, row by row.
#[derive(Clone, Copy, Debug)]
pub(super) struct PreviousView<'a> {
    all: &'a StructArray,
    revision: &'a Int32Array,
    client_id: &'a StringArray,
    center_id: &'a StringArray,
    call_type: &'a StringArray,
    answered_by: &'a StringArray,
    flagged: &'a BooleanArray,
    durations: [&'a Int64Array; 6],
    /// Older versions of callmeter did not write these.
    sequence: Option<&'a Int64Array>,
    observed_at: Option<&'a TimestampMicrosecondArray>,
    start_time: Option<&'a TimestampMicrosecondArray>,
}

impl<'a> PreviousView<'a> {
    pub(super) fn new(find: &Columns<'a>, column: &'static str) -> Result<Self, ViewError> {
        let all: &StructArray = find.get(column)?;
        let find = Columns::of_struct(all);
        let [duration, ring, hold, talk, transfer, work] =
            CallField::ALL.map(|field| find.get(field.column()));
        Ok(Self {
            all,
            revision: find.get(REVISION)?,
            client_id: find.get(CLIENT_ID)?,
            center_id: find.get(CENTER_ID)?,
            call_type: find.get(TYPE)?,
            answered_by: find.get(ANSWERED_BY)?,
            flagged: find.get(FLAGGED)?,
            durations: [duration?, ring?, hold?, talk?, transfer?, work?],
            sequence: find.get_if_any(SEQUENCE)?,
            observed_at: find.get_if_any(OBSERVED_AT)?,
            start_time: find.get_if_any(START_TIME)?,
        })
    }

    #[inline]
    pub(super) fn row(&self, row: usize) -> Option<Previous<'a>> {
        self.all.is_valid(row).then(|| self.of_revised(row))
    }

    fn of_revised(&self, row: usize) -> Previous<'a> {
        Previous {
            revision: self.revision.value(row),
            client_id: text(self.client_id, row),
            center_id: text(self.center_id, row),
            call_type: text(self.call_type, row),
            answered_by: text(self.answered_by, row),
            flagged: truth(self.flagged, row),
            durations: self.durations.map(|column| value(column, row)),
            sequence: self.sequence.and_then(|column| value(column, row)),
            observed_at: self.observed_at.and_then(|column| value(column, row)),
            start_time: self.start_time.and_then(|column| value(column, row)),
        }
    }
}
