//! Takes a batch from the host and checks that its memory matches its schema.
//!
//! Pointers of the C Data Interface carry no lengths, so a buffer that is too short cannot be
//! detected. Everything else is checked here once, and the accessors rely on it.

use std::ffi::c_void;
use std::sync::Arc;

use callmeter_plugin_abi::{self as abi, arrow::ArrowArray};

use super::data_type::{DataType, Field};
use super::error::{BatchError, malformed};
use super::owned::{Batch, OwnedArray};
use super::records;
use super::schema::Schema;
use super::stream::Stream;

/// The number of schemas that an instance remembers: one per stream, with some to spare.
const MAX_SCHEMAS: usize = 16;

/// The schemas that an instance has seen, by the host's number.
#[derive(Default)]
pub(crate) struct SchemaCache(Vec<(u32, u32, Arc<Schema>)>);

impl SchemaCache {
    /// # Safety
    /// `batch.schema` is null or points to a schema.
    unsafe fn get(&mut self, batch: &abi::Batch) -> Result<Arc<Schema>, BatchError> {
        let known = self
            .0
            .iter()
            .find(|(id, kind, _)| (*id, *kind) == (batch.schema_id, batch.kind));
        if let Some((_, _, schema)) = known {
            return Ok(Arc::clone(schema));
        }
        let columns = records::columns(Stream::from_kind(batch.kind));
        // SAFETY: the caller vouches for it.
        let schema = Arc::new(unsafe { Schema::read(batch.schema, columns)? });
        if self.0.len() >= MAX_SCHEMAS {
            self.0.remove(0);
        }
        self.0
            .push((batch.schema_id, batch.kind, Arc::clone(&schema)));
        Ok(schema)
    }
}

impl Batch {
    /// Takes the array out of the host's struct. In every case it is released exactly once: when
    /// the batch is dropped, or in here when the batch is malformed.
    ///
    /// # Safety
    /// `batch` is null or points to a batch as the ABI describes it, with a truthful `struct_size`.
    pub(crate) unsafe fn take(
        batch: *const abi::Batch,
        schemas: &mut SchemaCache,
    ) -> Result<Self, BatchError> {
        if batch.is_null() {
            return Err(malformed("the host passed no batch"));
        }
        // SAFETY: not null; `struct_size` comes first.
        let size = unsafe { (*batch).struct_size } as usize;
        if size < size_of::<abi::Batch>() {
            return Err(malformed(format!("the host's batch has only {size} bytes")));
        }
        // SAFETY: as large as the struct known here.
        let batch = unsafe { &*batch };
        if batch.array.is_null() {
            return Err(malformed("it has no array"));
        }
        // SAFETY: not null; the ABI lets a plugin move the array out by clearing `release`.
        let array = unsafe { OwnedArray(std::ptr::replace(batch.array, ArrowArray::empty())) };
        if array.0.release.is_none() {
            return Err(malformed("its array was released before"));
        }
        // SAFETY: the host vouches for the schema.
        let schema = unsafe { schemas.get(batch)? };
        // SAFETY: the host vouches for the array's pointers.
        unsafe {
            let (_, rows) = extent(&array.0, "the batch")?;
            check_members(&schema.fields, &array.0, 0, rows, "the batch")?;
        }
        Ok(Self {
            schema,
            array,
            kind: batch.kind,
            seq: batch.seq,
            id: batch.batch_id,
            attempt: batch.attempt,
        })
    }
}

/// The array's own offset and length as indices.
fn extent(array: &ArrowArray, name: &str) -> Result<(usize, usize), BatchError> {
    let of = |number: i64| usize::try_from(number).ok();
    match (of(array.offset), of(array.length)) {
        (Some(offset), Some(length)) if offset.checked_add(length).is_some() => {
            Ok((offset, length))
        }
        _ => Err(malformed(format!(
            "{name} has offset {} and length {}",
            array.offset, array.length
        ))),
    }
}

/// Checks `rows` rows of a struct array's children, after the `before` rows that its parents skip.
///
/// # Safety
/// The pointers of `array` follow the C Data Interface.
unsafe fn check_members(
    fields: &[Field],
    array: &ArrowArray,
    before: usize,
    rows: usize,
    name: &str,
) -> Result<(), BatchError> {
    let (offset, _) = extent(array, name)?;
    check_counts(array, name, 1, fields.len(), 0)?;
    let needed = before
        .checked_add(offset)
        .and_then(|skipped| skipped.checked_add(rows))
        .ok_or_else(|| malformed(format!("the offsets of {name} overflow")))?;
    for (index, field) in fields.iter().enumerate() {
        // SAFETY: `check_counts` saw so many children.
        let child = unsafe { *array.children.add(index) };
        if child.is_null() {
            return Err(malformed(format!("{name} lacks column {}", field.name())));
        }
        // SAFETY: not null.
        let child = unsafe { &*child };
        let (_, child_length) = extent(child, field.name())?;
        if child_length < needed {
            return Err(malformed(format!(
                "column {} has {child_length} rows of {needed}",
                field.name()
            )));
        }
        // SAFETY: as for `array`.
        unsafe { check(field, child, before + offset, rows)? };
    }
    Ok(())
}

/// Checks `rows` rows of an array, after the `before` rows that its parents skip.
///
/// # Safety
/// The pointers of `array` follow the C Data Interface.
unsafe fn check(
    field: &Field,
    array: &ArrowArray,
    before: usize,
    rows: usize,
) -> Result<(), BatchError> {
    let name = field.name();
    let base = before
        .checked_add(extent(array, name)?.0)
        .ok_or_else(|| malformed(format!("the offsets of column {name} overflow")))?;
    match field.data_type() {
        DataType::Unsupported(_) => Ok(()),
        DataType::Bool
        | DataType::Int32
        | DataType::Int64
        | DataType::Float64
        | DataType::Timestamp(_)
        | DataType::Decimal128 { .. } => check_counts(array, name, 2, 0, usize::from(rows > 0)),
        DataType::Utf8 => {
            check_counts(array, name, 3, 0, usize::from(rows > 0))?;
            // SAFETY: the offsets buffer is there when there are rows.
            unsafe { check_text(array, base, rows, name) }
        }
        DataType::List(item) => {
            check_counts(array, name, 2, 1, usize::from(rows > 0))?;
            // SAFETY: as for text.
            let (_, end) = unsafe { check_offsets(array, base, rows, name)? };
            // SAFETY: `check_counts` saw one child.
            let child = unsafe { *array.children };
            if child.is_null() {
                return Err(malformed(format!("column {name} lacks its items")));
            }
            // SAFETY: not null.
            let child = unsafe { &*child };
            let (_, items) = extent(child, name)?;
            if items < end {
                return Err(malformed(format!(
                    "column {name} has {items} items of {end}"
                )));
            }
            // SAFETY: as for `array`.
            unsafe { check(item, child, 0, items) }
        }
        // SAFETY: as for `array`.
        DataType::Struct(fields) => unsafe { check_members(fields, array, before, rows, name) },
    }
}

/// Checks that an array has the buffers and children of its type. `filled` buffers after the
/// validity bitmap must not be null.
fn check_counts(
    array: &ArrowArray,
    name: &str,
    buffers: i64,
    children: usize,
    filled: usize,
) -> Result<(), BatchError> {
    if array.n_buffers != buffers || array.buffers.is_null() {
        return Err(malformed(format!(
            "{name} has {} buffers of {buffers}",
            array.n_buffers
        )));
    }
    if usize::try_from(array.n_children) != Ok(children)
        || (children > 0 && array.children.is_null())
    {
        return Err(malformed(format!(
            "{name} has {} children of {children}",
            array.n_children
        )));
    }
    for index in 1..=filled {
        // SAFETY: `filled` is less than `buffers`, and the interface puts so many pointers there.
        let buffer: *const c_void = unsafe { *array.buffers.add(index) };
        if buffer.is_null() {
            return Err(malformed(format!("{name} lacks buffer {index}")));
        }
    }
    Ok(())
}

/// Checks that offsets are in order, and returns the first and the last.
///
/// # Safety
/// If there are rows, buffer 1 holds `base + rows + 1` offsets.
unsafe fn check_offsets(
    array: &ArrowArray,
    base: usize,
    rows: usize,
    name: &str,
) -> Result<(usize, usize), BatchError> {
    if rows == 0 {
        return Ok((0, 0));
    }
    // SAFETY: the caller vouches for it.
    let at = |i: usize| unsafe {
        (*array.buffers.add(1))
            .cast::<i32>()
            .add(base + i)
            .read_unaligned()
    };
    let first = at(0);
    let mut last = first;
    for i in 1..=rows {
        let next = at(i);
        if next < last {
            return Err(malformed(format!(
                "the offsets of column {name} go backwards"
            )));
        }
        last = next;
    }
    match (usize::try_from(first), usize::try_from(last)) {
        (Ok(first), Ok(last)) => Ok((first, last)),
        _ => Err(malformed(format!("column {name} has a negative offset"))),
    }
}

/// Checks that a column's values are UTF-8, each by itself.
///
/// # Safety
/// As for [`check_offsets`], and buffer 2 holds the bytes up to the last offset.
unsafe fn check_text(
    array: &ArrowArray,
    base: usize,
    rows: usize,
    name: &str,
) -> Result<(), BatchError> {
    // SAFETY: the caller vouches for it.
    let (first, last) = unsafe { check_offsets(array, base, rows, name)? };
    if first == last {
        return Ok(());
    }
    // SAFETY: a text array has three buffers.
    let bytes: *const u8 = unsafe { (*array.buffers.add(2)).cast() };
    if bytes.is_null() {
        return Err(malformed(format!("column {name} lacks its text")));
    }
    // SAFETY: the caller vouches for the length.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.add(first), last - first) };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(malformed(format!("column {name} is not UTF-8")));
    };
    // All of it is text; now each value must begin and end between two characters.
    if text.is_ascii() {
        return Ok(());
    }
    for i in 1..rows {
        // SAFETY: as in `check_offsets`, which also saw that it is not negative.
        let at = unsafe {
            (*array.buffers.add(1))
                .cast::<i32>()
                .add(base + i)
                .read_unaligned()
        };
        if !usize::try_from(at).is_ok_and(|at| text.is_char_boundary(at - first)) {
            return Err(malformed(format!("column {name} cuts a character in two")));
        }
    }
    Ok(())
}
