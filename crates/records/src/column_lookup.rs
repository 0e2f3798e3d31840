//! Columns of a batch by name and type.

use arrow_array::{
    Array, ArrowPrimitiveType, BooleanArray, PrimitiveArray, RecordBatch, StringArray, StructArray,
};
use arrow_schema::DataType;

/// Why a batch cannot be read as this stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// A column of the schema is missing.
    #[error("the batch has no column `{column}`")]
    MissingColumn {
        /// Its name.
        column: &'static str,
    },
    /// A column has another type than the schema says.
    #[error("column `{column}` is {found}, expected {expected}")]
    ColumnType {
        /// Its name.
        column: &'static str,
        /// The type it has.
        found: DataType,
        /// The Arrow array that was expected.
        expected: &'static str,
    },
}

/// Finds columns in a batch or in the fields of a struct.
pub(crate) struct Columns<'a> {
    find: Source<'a>,
}

enum Source<'a> {
    Batch(&'a RecordBatch),
    Struct(&'a StructArray),
}

impl<'a> Columns<'a> {
    pub(crate) fn new(batch: &'a RecordBatch) -> Self {
        Self {
            find: Source::Batch(batch),
        }
    }

    pub(crate) fn of_struct(array: &'a StructArray) -> Self {
        Self {
            find: Source::Struct(array),
        }
    }

    pub(crate) fn get<A: Array + 'static>(&self, column: &'static str) -> Result<&'a A, ViewError> {
        let array = match self.find {
            Source::Batch(batch) => batch.column_by_name(column),
            Source::Struct(array) => array.column_by_name(column),
        }
        .ok_or(ViewError::MissingColumn { column })?;
        array
            .as_any()
            .downcast_ref()
            .ok_or_else(|| ViewError::ColumnType {
                column,
                found: array.data_type().clone(),
                expected: std::any::type_name::<A>(),
            })
    }

    /// The column, or `None` if there is none.
    pub(crate) fn get_if_any<A: Array + 'static>(
        &self,
        column: &'static str,
    ) -> Result<Option<&'a A>, ViewError> {
        match self.get(column) {
            Err(ViewError::MissingColumn { .. }) => Ok(None),
            found => found.map(Some),
        }
    }
}

/// The text of a row, unless it is null.
#[inline]
pub(crate) fn text(array: &StringArray, row: usize) -> Option<&str> {
    array.is_valid(row).then(|| array.value(row))
}

/// The value of a row, unless it is null.
#[inline]
pub(crate) fn value<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    row: usize,
) -> Option<T::Native> {
    array.is_valid(row).then(|| array.value(row))
}

/// The truth of a row, unless it is null.
#[inline]
pub(crate) fn truth(array: &BooleanArray, row: usize) -> Option<bool> {
    array.is_valid(row).then(|| array.value(row))
}
