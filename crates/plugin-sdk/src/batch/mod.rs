//! A batch of records, read in place from Arrow memory without an Arrow library.
//!
//! [`Batch::calls`] and its siblings give rows with one accessor per column; [`Batch::rows`] and
//! [`Batch::columns`] reach every column by name, also those added after the SDK was built.

mod column;
mod import;
#[cfg(feature = "serde")]
mod json;
mod records;
mod rows;
mod schema;
mod value;

use std::fmt;
use std::sync::Arc;

use callmeter_plugin_abi::{StreamKind, arrow::ArrowArray};

pub use column::{Column, List, Row, Rows, Struct, Value};
pub(crate) use import::SchemaCache;
#[doc(hidden)]
pub use records::described;
pub use records::{Balance, Billing, Call, Interaction, PreviousCall, Rate};
pub use rows::{Of, Typed};
pub(crate) use schema::Schema;
pub use schema::{DataType, Field, TimeUnit};
pub use value::{Decimal, Timestamp};

/// What the records of a batch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stream {
    /// Calls.
    Calls,
    /// Allowance balances.
    Balances,
    /// Call rates.
    Rates,
    /// Billing settings.
    Billing,
    /// A stream that this SDK does not know; its columns can be read by name.
    Other(u32),
}

impl Stream {
    fn from_kind(kind: u32) -> Self {
        const CALLS: u32 = StreamKind::Calls as u32;
        const BALANCES: u32 = StreamKind::Balances as u32;
        const RATES: u32 = StreamKind::Rates as u32;
        const BILLING: u32 = StreamKind::Billing as u32;
        match kind {
            CALLS => Self::Calls,
            BALANCES => Self::Balances,
            RATES => Self::Rates,
            BILLING => Self::Billing,
            other => Self::Other(other),
        }
    }

    #[cfg(feature = "arrow-60")]
    pub(crate) fn kind(self) -> u32 {
        match self {
            Self::Calls => StreamKind::Calls as u32,
            Self::Balances => StreamKind::Balances as u32,
            Self::Rates => StreamKind::Rates as u32,
            Self::Billing => StreamKind::Billing as u32,
            Self::Other(kind) => kind,
        }
    }

    /// The name used in configurations, such as `calls`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Balances => "balances",
            Self::Rates => "rates",
            Self::Billing => "billing",
            Self::Other(_) => "other",
        }
    }
}

/// Why a batch cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchError {
    /// The memory does not have the form that the schema says; the column and what is wrong.
    Malformed(String),
    /// Rows of another stream were asked for.
    OtherStream {
        /// The stream asked for.
        wanted: &'static str,
        /// The batch's stream.
        found: &'static str,
    },
    /// A column that every record has is missing, or has another type than the SDK reads.
    Column {
        /// The column's name.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(problem) => write!(f, "the batch is malformed: {problem}"),
            Self::OtherStream { wanted, found } => {
                write!(f, "the batch holds {found}, not {wanted}")
            }
            Self::Column { name, problem } => write!(f, "column {name}: {problem}"),
        }
    }
}

impl std::error::Error for BatchError {}

/// Records of one stream, in order. Owned: it may be kept and dropped on any thread.
pub struct Batch {
    schema: Arc<Schema>,
    array: OwnedArray,
    kind: u32,
    seq: u64,
    id: [u8; 16],
    attempt: u32,
}

impl Batch {
    /// The batch's place among those that this instance was given, from 1: what
    /// [`Durable::UpTo`](crate::Durable::UpTo) counts in.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The same whenever this batch is sent again, also after a restart.
    pub fn id(&self) -> [u8; 16] {
        self.id
    }

    /// [`Batch::id`] as 32 hexadecimal digits, for use as an idempotency key.
    pub fn id_hex(&self) -> String {
        use fmt::Write as _;
        self.id
            .iter()
            .fold(String::with_capacity(32), |mut hex, byte| {
                // Writing to a String does not fail.
                let _ = write!(hex, "{byte:02x}");
                hex
            })
    }

    /// 1 when the batch comes for the first time, then 2, 3, …
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What the records are.
    pub fn stream(&self) -> Stream {
        Stream::from_kind(self.kind)
    }

    /// The schema's name and version, such as `calls/1`; empty if the host gave none.
    pub fn schema_name(&self) -> &str {
        &self.schema.name
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        // Checked not to be negative when the batch came in.
        usize::try_from(self.array.0.length).unwrap_or(0)
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The columns, in the schema's order.
    pub fn fields(&self) -> &[Field] {
        &self.schema.fields
    }

    /// The columns with their values, in the schema's order.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = Column<'_>> {
        (0..self.schema.fields.len()).map(|index| self.column_at(index))
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<Column<'_>> {
        let index = self
            .schema
            .fields
            .iter()
            .position(|field| field.name() == name)?;
        Some(self.column_at(index))
    }

    /// The records, each with every column.
    pub fn rows(&self) -> Rows<'_> {
        Rows::new(self)
    }

    fn column_at(&self, index: usize) -> Column<'_> {
        // SAFETY: the array was checked against the schema when it came in, and lives as long as
        // the borrow of `self`.
        unsafe {
            Column::child(
                &self.schema.fields[index],
                &self.array.0,
                0,
                self.len(),
                index,
            )
        }
    }

    #[cfg(feature = "arrow-60")]
    pub(crate) fn into_parts(self) -> (Arc<Schema>, ArrowArray) {
        (self.schema, self.array.into_inner())
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("schema", &self.schema.name)
            .field("seq", &self.seq)
            .field("id", &self.id_hex())
            .field("attempt", &self.attempt)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// An array that was taken from the host and is released exactly once.
struct OwnedArray(ArrowArray);

impl OwnedArray {
    #[cfg(feature = "arrow-60")]
    fn into_inner(mut self) -> ArrowArray {
        std::mem::replace(&mut self.0, ArrowArray::empty())
    }
}

impl Drop for OwnedArray {
    fn drop(&mut self) {
        if let Some(release) = self.0.release {
            // SAFETY: the array was moved here and not released yet. The producer sets `release` to
            // null in the struct it is given, which is this one.
            unsafe { release(&raw mut self.0) }
            self.0.release = None;
        }
    }
}

// SAFETY: the buffers are immutable for as long as the array is not released, and the ABI allows
// `release` from any thread.
unsafe impl Send for OwnedArray {}
// SAFETY: as above; nothing is written through a shared reference.
unsafe impl Sync for OwnedArray {}
