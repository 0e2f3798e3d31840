//! The types of a batch's columns, read from an Arrow C schema.

use std::ffi::{CStr, c_char};

use callmeter_plugin_abi::arrow::ArrowSchema;

use super::data_type::{DataType, Field, TimeUnit};
use super::error::{BatchError, malformed};
use super::resolve::{Described, Resolved};

/// How deep types may nest: a batch, a list, a struct and a list in it, with some to spare.
const MAX_DEPTH: usize = 8;

/// How many members a struct may have.
const MAX_MEMBERS: i64 = 4096;

/// The metadata key under which the host names the schema.
const SCHEMA_KEY: &[u8] = b"callmeter.schema";

/// A batch's type, read once and shared by its batches.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) resolved: Resolved,
    #[cfg(feature = "arrow-60")]
    pub(crate) arrow: Result<arrow_schema::SchemaRef, String>,
}

impl Schema {
    /// Reads the type of a batch. `columns` are those that the SDK knows.
    ///
    /// # Safety
    /// `schema` is null or points to a schema that follows the C Data Interface.
    pub(crate) unsafe fn read(
        schema: *const ArrowSchema,
        columns: &[Described],
    ) -> Result<Self, BatchError> {
        if schema.is_null() {
            return Err(malformed("it has no schema"));
        }
        // SAFETY: not null, and the caller vouches for the rest.
        let (root, metadata) = unsafe { (read_field(&*schema, 0)?, (*schema).metadata) };
        let DataType::Struct(fields) = root.data_type else {
            return Err(malformed("its schema is not a struct of columns"));
        };
        // SAFETY: the caller vouches for the form.
        let name = unsafe { metadata_value(metadata, SCHEMA_KEY) }.unwrap_or_default();
        Ok(Self {
            name,
            resolved: Resolved::new(columns, &fields),
            fields,
            // SAFETY: the caller vouches for the form, which is the same in arrow-rs.
            #[cfg(feature = "arrow-60")]
            arrow: unsafe { read_arrow(schema) },
        })
    }
}

/// # Safety
/// `schema` points to a schema that follows the C Data Interface.
#[cfg(feature = "arrow-60")]
unsafe fn read_arrow(schema: *const ArrowSchema) -> Result<arrow_schema::SchemaRef, String> {
    // SAFETY: both structs are the interface's own; it is only borrowed.
    let schema = unsafe { &*schema.cast::<arrow_array::ffi::FFI_ArrowSchema>() };
    arrow_schema::Schema::try_from(schema)
        .map(std::sync::Arc::new)
        .map_err(|error| error.to_string())
}

/// # Safety
/// `schema` and its children follow the C Data Interface.
unsafe fn read_field(schema: &ArrowSchema, depth: usize) -> Result<Field, BatchError> {
    // SAFETY: both are null or zero-terminated, by the interface.
    let (name, format) = unsafe { (text(schema.name), text(schema.format)) };
    if depth > MAX_DEPTH {
        return Err(malformed(format!(
            "column {name} nests deeper than {MAX_DEPTH}"
        )));
    }
    if !(0..=MAX_MEMBERS).contains(&schema.n_children) {
        return Err(malformed(format!(
            "column {name} has {} children",
            schema.n_children
        )));
    }
    let mut children = Vec::new();
    for i in 0..usize::try_from(schema.n_children).unwrap_or(0) {
        if schema.children.is_null() {
            return Err(malformed(format!("column {name} has no children")));
        }
        // SAFETY: the interface puts `n_children` pointers there.
        let child = unsafe { *schema.children.add(i) };
        if child.is_null() {
            return Err(malformed(format!("child {i} of column {name} is missing")));
        }
        // SAFETY: not null; the caller vouches for the rest.
        children.push(unsafe { read_field(&*child, depth + 1)? });
    }
    let dictionary = !schema.dictionary.is_null();
    Ok(Field {
        name,
        data_type: data_type(format, children, dictionary),
        nullable: schema.flags & ArrowSchema::NULLABLE != 0,
    })
}

fn data_type(format: String, mut children: Vec<Field>, dictionary: bool) -> DataType {
    if dictionary {
        return DataType::Unsupported(format);
    }
    match format.as_str() {
        "b" => DataType::Bool,
        "i" => DataType::Int32,
        "l" => DataType::Int64,
        "g" => DataType::Float64,
        "u" => DataType::Utf8,
        "+l" if children.len() == 1 => DataType::List(Box::new(children.remove(0))),
        "+s" => DataType::Struct(children),
        other => {
            if let Some(unit) = timestamp_unit(other) {
                return DataType::Timestamp(unit);
            }
            match decimal_scale(other) {
                Some(scale) => DataType::Decimal128 { scale },
                None => DataType::Unsupported(format),
            }
        }
    }
}

/// `tsu:+00:00`. Only zones that mean UTC: the SDK knows no other.
fn timestamp_unit(format: &str) -> Option<TimeUnit> {
    let rest = format.strip_prefix("ts")?;
    let (unit, zone) = rest.split_once(':')?;
    if !matches!(zone, "" | "+00:00" | "UTC" | "Z") {
        return None;
    }
    match unit {
        "s" => Some(TimeUnit::Second),
        "m" => Some(TimeUnit::Millisecond),
        "u" => Some(TimeUnit::Microsecond),
        "n" => Some(TimeUnit::Nanosecond),
        _ => None,
    }
}

/// `d:38,9` or `d:38,9,128`.
fn decimal_scale(format: &str) -> Option<i8> {
    let mut parts = format.strip_prefix("d:")?.split(',');
    let _precision: u8 = parts.next()?.parse().ok()?;
    let scale = parts.next()?.parse().ok()?;
    match (parts.next(), parts.next()) {
        (None | Some("128"), None) => Some(scale),
        _ => None,
    }
}

/// # Safety
/// `pointer` is null or points to a zero-terminated text.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the caller vouches for it.
    unsafe { CStr::from_ptr(pointer) }
        .to_string_lossy()
        .into_owned()
}

/// # Safety
/// `metadata` is null or has the binary form of the interface: counts and lengths as native 32-bit
/// integers.
unsafe fn metadata_value(metadata: *const c_char, key: &[u8]) -> Option<String> {
    if metadata.is_null() {
        return None;
    }
    // SAFETY: the interface begins with the number of pairs.
    let pairs = unsafe { metadata.cast::<i32>().read_unaligned() };
    // SAFETY: the pairs follow it.
    let mut at = unsafe { metadata.cast::<u8>().add(4) };
    for _ in 0..pairs {
        // SAFETY: a key, then a value.
        let (found, value) = unsafe { (counted(&mut at)?, counted(&mut at)?) };
        if found == key {
            return Some(String::from_utf8_lossy(value).into_owned());
        }
    }
    None
}

/// Reads a length and as many bytes, and moves past them.
///
/// # Safety
/// Such bytes lie at `at`, and live as long as the result is used.
unsafe fn counted<'a>(at: &mut *const u8) -> Option<&'a [u8]> {
    // SAFETY: the caller vouches for it.
    unsafe {
        let length = usize::try_from(at.cast::<i32>().read_unaligned()).ok()?;
        let bytes = std::slice::from_raw_parts(at.add(4), length);
        *at = at.add(4 + length);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{DataType, TimeUnit, data_type};

    fn read(format: &str) -> DataType {
        data_type(format.to_owned(), Vec::new(), false)
    }

    #[test]
    fn formats_are_read() {
        assert_eq!(read("u"), DataType::Utf8);
        assert_eq!(
            read("tsu:+00:00"),
            DataType::Timestamp(TimeUnit::Microsecond)
        );
        assert_eq!(read("d:38,9"), DataType::Decimal128 { scale: 9 });
        assert_eq!(read("d:38,-2,128"), DataType::Decimal128 { scale: -2 });
    }

    #[test]
    fn formats_of_other_kinds_are_kept_as_unsupported() {
        for format in [
            "tsu:Europe/Berlin",
            "d:76,9,256",
            "d:x",
            "d:",
            "+l",
            "vu",
            "",
            "ts",
            "tsx:",
        ] {
            assert_eq!(
                read(format),
                DataType::Unsupported(format.to_owned()),
                "{format}"
            );
        }
        let dictionary = data_type("i".to_owned(), Vec::new(), true);
        assert_eq!(dictionary, DataType::Unsupported("i".to_owned()));
    }
}
