//! Reads the columns of a batch as [`columns`](super::columns) writes them.

use std::sync::Arc;

use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, Decimal128Array, ListArray, PrimitiveArray,
    RecordBatch, RecordBatchOptions, StructArray, new_null_array,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, FieldRef, SchemaRef, TimeUnit};

use super::columns::{ALL_NULL, NARROW, NO_NULLS, SOME_NULL, WIDE};
use super::{integers, texts};

pub(super) type Read<T> = Result<T, ArrowError>;

/// The most bytes of the columns of a batch: a few bytes must not expand to more.
const MAX_ALLOCATED: usize = 1 << 31;

/// Reads a batch. Never panics, whatever the bytes.
pub(super) fn read(plain: &[u8], schema: &SchemaRef) -> Read<RecordBatch> {
    let mut input = Input::new(plain);
    let rows = usize::try_from(u32::from_le_bytes(input.array()?)).unwrap_or(usize::MAX);
    let columns = schema.fields().iter();
    let columns: Vec<ArrayRef> = columns
        .map(|field| column(&mut input, rows, field.data_type()))
        .collect::<Read<_>>()?;
    if !input.is_empty() {
        return input.fault("bytes after the last column");
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// What is left of a batch's bytes.
pub(super) struct Input<'b> {
    bytes: &'b [u8],
    /// Bytes that may still be allocated.
    left: usize,
}

impl<'b> Input<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self {
            bytes,
            left: MAX_ALLOCATED,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn fault<T>(&self, what: &str) -> Read<T> {
        Err(ArrowError::IpcError(format!(
            "{what}, {} bytes before the end",
            self.bytes.len()
        )))
    }

    /// Notes that so many bytes are going to be allocated.
    pub(super) fn allocate(&mut self, bytes: usize) -> Read<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => self.fault("columns that are too large"),
        }
    }

    pub(super) fn bytes(&mut self, count: usize) -> Read<&'b [u8]> {
        match self.bytes.split_at_checked(count) {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(taken)
            }
            None => self.fault("a column that is truncated"),
        }
    }

    pub(super) fn array<const COUNT: usize>(&mut self) -> Read<[u8; COUNT]> {
        match self.bytes.split_first_chunk() {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(*taken)
            }
            None => self.fault("a column that is truncated"),
        }
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn bits(&mut self, count: usize) -> Read<BooleanBuffer> {
        let bytes = self.bytes(count.div_ceil(8))?;
        self.allocate(bytes.len())?;
        Ok(BooleanBuffer::new(Buffer::from(bytes), 0, count))
    }
}

fn column(input: &mut Input<'_>, rows: usize, of: &DataType) -> Read<ArrayRef> {
    let nulls = match input.byte()? {
        NO_NULLS => None,
        ALL_NULL => {
            input.allocate(rows.saturating_mul(8 * widths(of)))?;
            return Ok(new_null_array(of, rows));
        }
        SOME_NULL => Some(NullBuffer::new(input.bits(rows)?)),
        _ => return input.fault("an unknown kind of nulls"),
    };
    Ok(match of {
        DataType::Utf8 => Arc::new(texts::read(input, rows, nulls)?),
        DataType::Int32 => {
            let values = spread(
                integers::read(input, valid(rows, nulls.as_ref()))?,
                nulls.as_ref(),
            );
            let values: Result<Vec<i32>, _> = values.into_iter().map(i32::try_from).collect();
            match values {
                Ok(values) => Arc::new(PrimitiveArray::<Int32Type>::try_new(values.into(), nulls)?),
                Err(_) => return input.fault("a number of more than 32 bits"),
            }
        }
        DataType::Int64 => Arc::new(wide::<Int64Type>(input, rows, nulls)?),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => Arc::new(
            wide::<TimestampMicrosecondType>(input, rows, nulls)?.with_timezone_opt(zone.clone()),
        ),
        DataType::Boolean => {
            let bits = input.bits(valid(rows, nulls.as_ref()))?;
            let values = match &nulls {
                None => bits,
                Some(valid) => {
                    let mut bits = bits.iter();
                    let next = |valid| valid && bits.next().unwrap_or(false);
                    valid.iter().map(next).collect()
                }
            };
            Arc::new(BooleanArray::new(values, nulls))
        }
        DataType::Decimal128(precision, scale) => {
            Arc::new(decimals(input, rows, nulls)?.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::List(item) => Arc::new(lists(input, rows, nulls, item)?),
        DataType::Struct(fields) => {
            let members = fields.iter();
            let members: Vec<ArrayRef> = members
                .map(|field| column(input, rows, field.data_type()))
                .collect::<Read<_>>()?;
            Arc::new(StructArray::try_new(fields.clone(), members, nulls)?)
        }
        other => return input.fault(&format!("a column of type {other}")),
    })
}

/// How many columns a type has, those of its members included.
fn widths(of: &DataType) -> usize {
    match of {
        DataType::Struct(fields) => fields.iter().map(|field| widths(field.data_type())).sum(),
        DataType::Decimal128(..) => 2,
        _ => 1,
    }
}

/// How many of the rows are not null.
fn valid(rows: usize, nulls: Option<&NullBuffer>) -> usize {
    rows - nulls.map_or(0, NullBuffer::null_count)
}

/// The values of all rows from those of the rows that are not null.
fn spread<T: Copy + Default>(values: Vec<T>, nulls: Option<&NullBuffer>) -> Vec<T> {
    let Some(nulls) = nulls else {
        return values;
    };
    let mut values = values.into_iter();
    let next = |valid| {
        let value = if valid { values.next() } else { None };
        value.unwrap_or_default()
    };
    nulls.iter().map(next).collect()
}

fn wide<T: ArrowPrimitiveType<Native = i64>>(
    input: &mut Input<'_>,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Read<PrimitiveArray<T>> {
    let values = integers::read(input, valid(rows, nulls.as_ref()))?;
    let values = spread(values, nulls.as_ref());
    PrimitiveArray::try_new(values.into(), nulls)
}

fn decimals(
    input: &mut Input<'_>,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Read<Decimal128Array> {
    let count = valid(rows, nulls.as_ref());
    input.allocate(rows.saturating_mul(16))?;
    let values: Vec<i128> = match input.byte()? {
        NARROW => {
            let numbers = integers::read(input, count)?;
            numbers.into_iter().map(i128::from).collect()
        }
        WIDE => {
            let bytes = input.bytes(count.saturating_mul(16))?;
            let (numbers, _) = bytes.as_chunks::<16>();
            numbers
                .iter()
                .map(|bytes| i128::from_le_bytes(*bytes))
                .collect()
        }
        _ => return input.fault("an unknown width of decimals"),
    };
    Decimal128Array::try_new(spread(values, nulls.as_ref()).into(), nulls)
}

fn lists(
    input: &mut Input<'_>,
    rows: usize,
    nulls: Option<NullBuffer>,
    item: &FieldRef,
) -> Read<ListArray> {
    let lengths = integers::read(input, valid(rows, nulls.as_ref()))?;
    let mut end = 0_i32;
    let mut offsets = Vec::with_capacity(rows + 1);
    offsets.push(end);
    for length in spread(lengths, nulls.as_ref()) {
        let length = i32::try_from(length).ok().filter(|length| *length >= 0);
        match length.and_then(|length| end.checked_add(length)) {
            Some(sum) => end = sum,
            None => return input.fault("an impossible length of a list"),
        }
        offsets.push(end);
    }
    let items = column(input, end.unsigned_abs() as usize, item.data_type())?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    ListArray::try_new(Arc::clone(item), offsets, items, nulls)
}
