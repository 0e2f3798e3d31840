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
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use super::integers;
use super::marks::{ALL_NULL, NARROW, NO_NULLS, SOME_NULL, WIDE};
use super::texts::TextWriter;

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
                write_bits(out, nulls.inner());
            }
        }
        match column.data_type() {
            DataType::Utf8 => self.texts.write(out, column.as_string()),
            DataType::Int32 => {
                let values = column.as_primitive::<Int32Type>();
                self.integers(out, values.iter().flatten().map(i64::from));
            }
            DataType::Int64 => {
                self.wide_integers(out, column.as_primitive::<Int64Type>().values(), nulls);
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let values = column.as_primitive::<TimestampMicrosecondType>();
                self.wide_integers(out, values.values(), nulls);
            }
            DataType::Boolean => {
                let values = column.as_boolean();
                match nulls {
                    None => write_bits(out, values.values()),
                    Some(_) => write_bits(out, &values.iter().flatten().collect()),
                }
            }
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

    /// Writes the numbers that are not null.
    fn wide_integers(&mut self, out: &mut Vec<u8>, numbers: &[i64], nulls: Option<&NullBuffer>) {
        self.numbers.clear();
        match nulls {
            None => self.numbers.extend_from_slice(numbers),
            Some(nulls) => {
                for (from, to) in nulls.valid_slices() {
                    let some = numbers.get(from..to).unwrap_or_default();
                    self.numbers.extend_from_slice(some);
                }
            }
        }
        integers::write(out, &mut self.numbers);
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

/// Writes a bit for each value, the first as the lowest bit of a byte. That is how Arrow has them.
fn write_bits(out: &mut Vec<u8>, bits: &BooleanBuffer) {
    out.extend_from_slice(&bits.sliced());
    if let (Some(last), used @ 1..) = (out.last_mut(), bits.len() % 8) {
        *last &= (1 << used) - 1;
    }
}
