//! Makes row types with one accessor per column from the tables of the records.
//!
//! Columns are looked up by name, once for each schema. A column that the host does not send reads
//! as `None`.

use super::column::{List, Struct, Value};
use super::error::BatchError;
use super::owned::Batch;
use super::resolve::Described;
use super::value::{Decimal, Timestamp};

/// Typed rows of a batch, in order.
#[derive(Debug, Clone)]
pub struct Typed<'a, R> {
    batch: &'a Batch,
    places: &'a [Option<usize>],
    next: usize,
    row: std::marker::PhantomData<R>,
}

impl<'a, R> Typed<'a, R> {
    /// The rows of a batch, if it holds the stream that is `wanted`.
    pub(super) fn new(batch: &'a Batch, wanted: &'static str) -> Result<Self, BatchError> {
        let found = batch.stream().name();
        if found != wanted {
            return Err(BatchError::OtherStream { wanted, found });
        }
        match &batch.schema.resolved.0 {
            Ok(places) => Ok(Self {
                batch,
                places,
                next: 0,
                row: std::marker::PhantomData,
            }),
            Err(error) => Err(error.clone()),
        }
    }
}

/// A row type: what [`Batch::calls`] and its siblings yield.
pub trait Of<'a>: Sized {
    #[doc(hidden)]
    fn at(batch: &'a Batch, places: &'a [Option<usize>], index: usize) -> Self;
}

impl<'a, R: Of<'a>> Iterator for Typed<'a, R> {
    type Item = R;

    fn next(&mut self) -> Option<R> {
        let index = self.next;
        if index >= self.batch.len() {
            return None;
        }
        self.next += 1;
        Some(R::at(self.batch, self.places, index))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batch.len() - self.next;
        (left, Some(left))
    }
}

impl<'a, R: Of<'a>> ExactSizeIterator for Typed<'a, R> {}

/// Where a typed value comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    Row {
        batch: &'a Batch,
        places: &'a [Option<usize>],
        index: usize,
    },
    Member(Struct<'a>),
}

impl<'a> Source<'a> {
    pub(super) fn value(&self, place: usize, name: &str) -> Value<'a> {
        match self {
            Self::Row {
                batch,
                places,
                index,
            } => match places.get(place) {
                Some(Some(column)) => batch.column_at(*column).value(*index),
                _ => Value::Null,
            },
            Self::Member(members) => members.get(name),
        }
    }
}

pub(super) fn text(value: Value<'_>) -> Option<&str> {
    if let Value::Text(text) = value {
        Some(text)
    } else {
        None
    }
}

pub(super) fn int(value: Value<'_>) -> Option<i64> {
    if let Value::Int(int) = value {
        Some(int)
    } else {
        None
    }
}

pub(super) fn flag(value: Value<'_>) -> Option<bool> {
    if let Value::Bool(flag) = value {
        Some(flag)
    } else {
        None
    }
}

pub(super) fn time(value: Value<'_>) -> Option<Timestamp> {
    if let Value::Timestamp(time) = value {
        Some(time)
    } else {
        None
    }
}

pub(super) fn decimal(value: Value<'_>) -> Option<Decimal> {
    if let Value::Decimal(decimal) = value {
        Some(decimal)
    } else {
        None
    }
}

pub(super) fn list(value: Value<'_>) -> Option<List<'_>> {
    if let Value::List(list) = value {
        Some(list)
    } else {
        None
    }
}

/// A column of a table as `Described`: its name, its type and whether every record has a value.
macro_rules! described {
    ($name:expr, always_text) => {
        Described { name: $name, kind: ColumnKind::Text, required: true }
    };
    ($name:expr, always_int) => {
        Described { name: $name, kind: ColumnKind::Int, required: true }
    };
    ($name:expr, always_time) => {
        Described { name: $name, kind: ColumnKind::Time, required: true }
    };
    ($name:expr, $kind:ident) => {
        Described { name: $name, kind: described!(@kind $kind), required: false }
    };
    (@kind text) => { ColumnKind::Text };
    (@kind id) => { ColumnKind::Text };
    (@kind int) => { ColumnKind::Int };
    (@kind long) => { ColumnKind::Int };
    (@kind millis) => { ColumnKind::Int };
    (@kind time) => { ColumnKind::Time };
    (@kind decimal) => { ColumnKind::Decimal };
    (@kind truth) => { ColumnKind::Flag };
    (@kind texts) => { ColumnKind::List };
    (@kind interactions) => { ColumnKind::List };
    (@kind previous) => { ColumnKind::Struct };
}

/// One accessor, by the kind of its column.
macro_rules! accessor {
    ([$doc:literal] $column:expr, $name:ident, always_text) => {
        #[doc = $doc]
        pub fn $name(&self) -> &'a str {
            text(accessor!(self, $column)).unwrap_or("")
        }
    };
    ([$doc:literal] $column:expr, $name:ident, always_int) => {
        #[doc = $doc]
        pub fn $name(&self) -> i64 {
            int(accessor!(self, $column)).unwrap_or(0)
        }
    };
    ([$doc:literal] $column:expr, $name:ident, always_time) => {
        #[doc = $doc]
        pub fn $name(&self) -> Timestamp {
            time(accessor!(self, $column)).unwrap_or(Timestamp::from_micros(0))
        }
    };
    ([$doc:literal] $column:expr, $name:ident, int) => {
        #[doc = $doc]
        pub fn $name(&self) -> Option<i64> {
            int(accessor!(self, $column))
        }
    };
    ([$doc:literal] $column:expr, $name:ident, long) => {
        #[doc = $doc]
        pub fn $name(&self) -> Option<i64> {
            int(accessor!(self, $column))
        }
    };
    ([$doc:literal] $column:expr, $name:ident, millis) => {
        #[doc = $doc]
        ///
        /// In milliseconds.
        pub fn $name(&self) -> Option<i64> {
            int(accessor!(self, $column))
        }
    };
    ([$doc:literal] $column:expr, $name:ident, truth) => {
        #[doc = $doc]
        pub fn $name(&self) -> Option<bool> {
            flag(accessor!(self, $column))
        }
    };
    ([$doc:literal] $column:expr, $name:ident, time) => {
        #[doc = $doc]
        pub fn $name(&self) -> Option<Timestamp> {
            time(accessor!(self, $column))
        }
    };
    ([$doc:literal] $column:expr, $name:ident, decimal) => {
        #[doc = $doc]
        pub fn $name(&self) -> Option<Decimal> {
            decimal(accessor!(self, $column))
        }
    };
    ([$doc:literal] $column:expr, $name:ident, texts) => {
        #[doc = $doc]
        pub fn $name(&self) -> impl Iterator<Item = &'a str> + use<'a> {
            list(accessor!(self, $column))
                .into_iter()
                .flat_map(|items| items.iter().filter_map(text))
        }
    };
    ([$doc:literal] $column:expr, $name:ident, interactions) => {
        #[doc = $doc]
        pub fn $name(&self) -> impl ExactSizeIterator<Item = Interaction<'a>> + use<'a> {
            let items = list(accessor!(self, $column));
            (0..items.map_or(0, |items| items.len())).map(move |index| {
                let item = items.map_or(Value::Null, |items| items.get(index));
                Interaction(Source::member(item))
            })
        }
    };
    ([$doc:literal] $column:expr, $name:ident, previous) => {
        #[doc = $doc]
        pub fn $name(&self) -> Option<PreviousCall<'a>> {
            match accessor!(self, $column) {
                Value::Struct(members) => Some(PreviousCall(Source::Member(members))),
                _ => None,
            }
        }
    };
    ([$doc:literal] $column:expr, $name:ident, $kind:ident) => {
        #[doc = $doc]
        pub fn $name(&self) -> Option<&'a str> {
            text(accessor!(self, $column))
        }
    };
    ($self:ident, $column:expr) => {
        $self
            .0
            .value(const { place(Self::COLUMNS, $column) }, $column)
    };
}

/// The name of a column: its accessor's name unless the table gives another.
macro_rules! name {
    ($accessor:ident) => {
        stringify!($accessor)
    };
    ($accessor:ident as $column:literal) => {
        $column
    };
}

/// The row type of a stream: the columns that all streams have, those of its table, and `last`.
macro_rules! stream_row {
    ($row:ident $row_doc:literal last: [$($last:tt)*] table: $($table:tt)*) => {
        row! { $row $row_doc
            account: always_text, "The account of callmeter's configuration that the record belongs to.";
            sequence: always_int, "The record's place in its stream: 1, 2, 3, … over the whole journal.";
            revision: always_int, "0 for a record seen first, one more with each change.";
            change: always_text, "`new`, `revised` when a record changed that was counted before, or `removed`.";
            observed_at: always_time, "When callmeter read the record.";
            $($table)*
            unreadable: text, "What could not be read: a JSON object from the service's member to its original text.";
            $($last)*
        }
    };
}

/// A row type from the lines of a table.
macro_rules! row {
    ($row:ident $row_doc:literal
        $($name:ident $(as $column:literal)?: $kind:ident $(($unit:literal))? $(= $member:literal)?, $doc:literal;)*
    ) => {
        #[doc = $row_doc]
        #[derive(Debug, Clone, Copy)]
        pub struct $row<'a>(Source<'a>);

        impl<'a> $row<'a> {
            pub(super) const COLUMNS: &'static [Described] =
                &[$(described!(name!($name $(as $column)?), $kind)),*];

            $(accessor! { [$doc] name!($name $(as $column)?), $name, $kind })*
        }

        impl<'a> Of<'a> for $row<'a> {
            fn at(batch: &'a Batch, places: &'a [Option<usize>], index: usize) -> Self {
                Self(Source::Row { batch, places, index })
            }
        }
    };
}

/// A column's index in its table, found at compile time.
pub(super) const fn place(columns: &[Described], name: &str) -> usize {
    let mut i = 0;
    while i < columns.len() {
        let (a, b) = (columns[i].name.as_bytes(), name.as_bytes());
        let mut same = a.len() == b.len();
        let mut at = 0;
        while same && at < a.len() {
            same = a[at] == b[at];
            at += 1;
        }
        if same {
            return i;
        }
        i += 1;
    }
    panic!("every accessor names a column of its own table")
}

impl<'a> Source<'a> {
    /// The members of a struct value; none if it is null.
    pub(super) fn member(value: Value<'a>) -> Self {
        match value {
            Value::Struct(members) => Self::Member(members),
            _ => Self::Member(Struct::empty()),
        }
    }
}

pub(super) use {accessor, described, name, row, stream_row};
