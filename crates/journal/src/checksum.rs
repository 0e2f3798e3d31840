//! Checksums of rows: a database checks the structure of its files, not the values.

use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// The checksum of a row, over its columns in a fixed order.
pub(crate) struct RowChecksum(Xxh3Default);

impl RowChecksum {
    /// Starts with the name of the table, so that a row is not valid in another table.
    pub(crate) fn of(table: &str) -> Self {
        Self(Xxh3Default::new()).text(table)
    }

    pub(crate) fn int(mut self, value: i64) -> Self {
        self.0.update(&value.to_le_bytes());
        self
    }

    pub(crate) fn optional(self, value: Option<i64>) -> Self {
        match value {
            None => self.int(0),
            Some(value) => self.int(1).int(value),
        }
    }

    pub(crate) fn text(mut self, value: &str) -> Self {
        self.0.update(&(value.len() as u64).to_le_bytes());
        self.0.update(value.as_bytes());
        self
    }

    pub(crate) fn finish(self) -> i64 {
        self.0.digest().cast_signed()
    }
}

/// The checksum of a blob.
pub(crate) fn blob(bytes: &[u8]) -> i64 {
    xxh3_64(bytes).cast_signed()
}
