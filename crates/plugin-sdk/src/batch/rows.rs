//! Makes row types with one accessor per column from the tables in `records`.

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

/// One accessor, by the kind of its column. A trailing `!` marks a column that every record has.
macro_rules! accessor {
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Text, !) => {
        $(#[$doc])* pub fn $name(&self) -> &'a str { text(self.0.value(const { place(Self::COLUMNS, $column) }, $column)).unwrap_or("") }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Int, !) => {
        $(#[$doc])* pub fn $name(&self) -> i64 { int(self.0.value(const { place(Self::COLUMNS, $column) }, $column)).unwrap_or(0) }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Time, !) => {
        $(#[$doc])* pub fn $name(&self) -> Timestamp {
            time(self.0.value(const { place(Self::COLUMNS, $column) }, $column)).unwrap_or(Timestamp::from_micros(0))
        }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Text,) => {
        $(#[$doc])* pub fn $name(&self) -> Option<&'a str> { text(self.0.value(const { place(Self::COLUMNS, $column) }, $column)) }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Int,) => {
        $(#[$doc])* pub fn $name(&self) -> Option<i64> { int(self.0.value(const { place(Self::COLUMNS, $column) }, $column)) }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Flag,) => {
        $(#[$doc])* pub fn $name(&self) -> Option<bool> { flag(self.0.value(const { place(Self::COLUMNS, $column) }, $column)) }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Time,) => {
        $(#[$doc])* pub fn $name(&self) -> Option<Timestamp> { time(self.0.value(const { place(Self::COLUMNS, $column) }, $column)) }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Decimal,) => {
        $(#[$doc])* pub fn $name(&self) -> Option<Decimal> { decimal(self.0.value(const { place(Self::COLUMNS, $column) }, $column)) }
    };
    // Lists and structs have handwritten accessors, which call these.
    ([$(#[$doc:meta])*] $column:literal, $name:ident, List,) => {
        fn $name(&self) -> Option<List<'a>> { list(self.0.value(const { place(Self::COLUMNS, $column) }, $column)) }
    };
    ([$(#[$doc:meta])*] $column:literal, $name:ident, Struct,) => {
        fn $name(&self) -> Value<'a> { self.0.value(const { place(Self::COLUMNS, $column) }, $column) }
    };
}

macro_rules! required {
    () => {
        false
    };
    (!) => {
        true
    };
}

/// A row type from a table: accessor, column and kind.
macro_rules! row {
    ($(#[$doc:meta])* $row:ident {
        $($(#[$column_doc:meta])* $name:ident = $column:literal: ($kind:ident $($required:tt)?);)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $row<'a>(Source<'a>);

        impl<'a> $row<'a> {
            pub(super) const COLUMNS: &'static [Described] = &[$(
                Described {
                    name: $column,
                    kind: ColumnKind::$kind,
                    required: required!($($required)?),
                }
            ),*];

            $(accessor!([$(#[$column_doc])*] $column, $name, $kind, $($required)?);)*
        }

        impl<'a> Of<'a> for $row<'a> {
            fn at(batch: &'a Batch, places: &'a [Option<usize>], index: usize) -> Self {
                Self(Source::Row { batch, places, index })
            }
        }
    };
}

/// A column's place in its table, found while compiling.
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
    /// The members of a struct value; of nothing when it is null.
    pub(super) fn member(value: Value<'a>) -> Self {
        match value {
            Value::Struct(members) => Self::Member(members),
            _ => Self::Member(Struct::empty()),
        }
    }
}

pub(super) use {accessor, required, row};
