//! The types of columns and their values.

/// A column, or a member of a struct, or the items of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub(super) name: String,
    pub(super) data_type: DataType,
    pub(super) nullable: bool,
}

/// The types that a host may send. Types that are added later read as null.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataType {
    /// True or false.
    Bool,
    /// A 32-bit integer.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// A 64-bit float.
    Float64,
    /// Text.
    Utf8,
    /// A point in time, UTC.
    Timestamp(TimeUnit),
    /// An exact decimal number with a fixed number of digits after the point.
    Decimal128 {
        /// Digits after the point; may be negative.
        scale: i8,
    },
    /// A list of items.
    List(Box<Field>),
    /// Named members.
    Struct(Vec<Field>),
    /// A type that this SDK does not read, in Arrow's format language.
    Unsupported(String),
}

/// What a timestamp counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Second,
    /// Milliseconds.
    Millisecond,
    /// Microseconds.
    Microsecond,
    /// Nanoseconds.
    Nanosecond,
}

impl Field {
    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Whether values may be null.
    pub fn nullable(&self) -> bool {
        self.nullable
    }
}
