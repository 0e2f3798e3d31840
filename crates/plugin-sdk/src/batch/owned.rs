//! A batch that was taken from the host.

use std::fmt;
use std::sync::Arc;

use callmeter_plugin_abi::arrow::ArrowArray;

use super::column::Column;
use super::data_type::Field;
use super::schema::Schema;
use super::stream::Stream;

/// Records of one stream, in order. A batch may be kept, and dropped on any thread.
pub struct Batch {
    pub(super) schema: Arc<Schema>,
    pub(super) array: OwnedArray,
    pub(super) kind: u32,
    pub(super) seq: u64,
    pub(super) id: [u8; 16],
    pub(super) attempt: u32,
}

impl Batch {
    /// The batch's number within this instance, from 1.
    /// [`Durable::UpTo`](crate::outcome::Durable::UpTo) refers to it.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The batch's id. It is the same whenever this batch is sent again, even after a restart.
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

    /// 1 when the batch is sent for the first time, then 2, 3, …
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The stream that the records belong to.
    pub fn stream(&self) -> Stream {
        Stream::from_kind(self.kind)
    }

    /// The schema's name and version, such as `calls/1`. Empty if the host gives none.
    pub fn schema_name(&self) -> &str {
        &self.schema.name
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        // Checked not to be negative when the batch came in.
        usize::try_from(self.array.0.length).unwrap_or(0)
    }

    /// Whether the batch has no records.
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

    pub(super) fn column_at(&self, index: usize) -> Column<'_> {
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
pub(super) struct OwnedArray(pub(super) ArrowArray);

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
