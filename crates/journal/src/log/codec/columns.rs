//! Writes the columns of a batch, one after the other, in the order of its schema.
//!
//! Layout: the number of rows (`u32` little-endian), then for each column which of its values are
//! null (0: none, 1: all, 2: a bit for each follows) and the others: numbers and times as
//! [`integers`], texts as [`texts`], truth values as bits, the lengths of lists and then all their
//! items as a column, the members of a struct as columns with a row for each of its rows. All nulls
//! end a column.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ListArray, RecordBatch};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use super::integers;
use super::texts::TextWriter;

/// No value is null, all are, or a bit for each says which.
pub(super) const NO_NULLS: u8 = 0;
pub(super) const ALL_NULL: u8 = 1;
pub(super) const SOME_NULL: u8 = 2;

/// Decimals that fit 64 bits, or not.
pub(super) const NARROW: u8 = 0;
pub(super) const WIDE: u8 = 1;

/// Writes columns. Its buffers are used again for each batch.
#[derive(Default)]
pub(super) struct ColumnWriter {
    texts: TextWriter,
    numbers: Vec<i64>,
}

impl ColumnWriter {
    /// Appends a batch to `out`. Fails if it has too many rows, or a column of a type that no
    /// stream has.
    pub(super) fn write(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
    ) -> Result<(), ArrowError> {
        let rows = u32::try_from(batch.num_rows())
            .map_err(|_| ArrowError::IpcError("a batch has too many rows".to_owned()))?;
        out.extend_from_slice(&rows.to_le_bytes());
        for column in batch.columns() {
            self.column(out, column.as_ref())?;
        }
        Ok(())
    }

    fn column(&mut self, out: &mut Vec<u8>, column: &dyn Array) -> Result<(), ArrowError> {
        let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
        match nulls {
            None => out.push(NO_NULLS),
            Some(nulls) if nulls.null_count() == column.len() => {
                out.push(ALL_NULL);
                return Ok(());
            }
            Some(nulls) => {
                out.push(SOME_NULL);
                write_bits(out, nulls.iter());
            }
        }
        match column.data_type() {
            DataType::Utf8 => self.texts.write(out, column.as_string()),
            DataType::Int32 => {
                let values = column.as_primitive::<Int32Type>();
                self.integers(out, values.iter().flatten().map(i64::from));
            }
            DataType::Int64 => {
                let values = column.as_primitive::<Int64Type>();
                match nulls {
                    None => self.integers(out, values.values().iter().copied()),
                    Some(_) => self.integers(out, values.iter().flatten()),
                }
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let values = column.as_primitive::<TimestampMicrosecondType>();
                match nulls {
                    None => self.integers(out, values.values().iter().copied()),
                    Some(_) => self.integers(out, values.iter().flatten()),
                }
            }
            DataType::Boolean => write_bits(out, column.as_boolean().iter().flatten()),
            DataType::Decimal128(..) => {
                self.decimals(
                    out,
                    column.as_primitive::<Decimal128Type>().iter().flatten(),
                );
            }
            DataType::List(_) => {
                let lists = column.as_list::<i32>();
                self.lists(out, lists)?;
            }
            DataType::Struct(_) => {
                for member in column.as_struct().columns() {
                    self.column(out, member.as_ref())?;
                }
            }
            other => {
                return Err(ArrowError::IpcError(format!(
                    "columns of type {other} cannot be stored"
                )));
            }
        }
        Ok(())
    }

    fn integers(&mut self, out: &mut Vec<u8>, numbers: impl Iterator<Item = i64>) {
        self.numbers.clear();
        self.numbers.extend(numbers);
        integers::write(out, &mut self.numbers);
    }

    fn decimals(&mut self, out: &mut Vec<u8>, decimals: impl Iterator<Item = i128> + Clone) {
        self.numbers.clear();
        for decimal in decimals.clone() {
            let Ok(number) = i64::try_from(decimal) else {
                out.push(WIDE);
                out.extend(decimals.flat_map(i128::to_le_bytes));
                return;
            };
            self.numbers.push(number);
        }
        out.push(NARROW);
        integers::write(out, &mut self.numbers);
    }

    fn lists(&mut self, out: &mut Vec<u8>, lists: &ListArray) -> Result<(), ArrowError> {
        let lengths = lists.offsets().lengths().enumerate();
        let lengths = lengths.filter(|(row, _)| lists.is_valid(*row));
        // An Arrow list has at most 2³¹ items.
        let lengths = lengths.map(|(_, length)| i64::try_from(length).unwrap_or(i64::MAX));
        self.numbers.clear();
        self.numbers.extend(lengths);
        let count: i64 = self.numbers.iter().sum();
        integers::write(out, &mut self.numbers);
        let place = |offset: Option<&i32>| offset.and_then(|at| usize::try_from(*at).ok());
        let offsets = lists.value_offsets();
        let first = place(offsets.first()).unwrap_or(0);
        let last = place(offsets.last()).unwrap_or(0);
        let items = lists.values().slice(first, last.saturating_sub(first));
        if usize::try_from(count) != Ok(items.len()) {
            return Err(ArrowError::IpcError(
                "a list that is null has items".to_owned(),
            ));
        }
        self.column(out, items.as_ref())
    }
}

/// Writes a bit for each value, the first as the lowest bit of a byte.
fn write_bits(out: &mut Vec<u8>, bits: impl Iterator<Item = bool>) {
    let mut byte = 0;
    let mut count = 0;
    for bit in bits {
        byte |= u8::from(bit) << count;
        count += 1;
        if count == 8 {
            out.push(byte);
            (byte, count) = (0, 0);
        }
    }
    if count > 0 {
        out.push(byte);
    }
}
