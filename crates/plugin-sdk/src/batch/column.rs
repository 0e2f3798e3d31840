//! Columns and values, read in place.
//!
//! Accessors are marked `#[inline]`, because a plugin that is built without link-time optimization
//! would otherwise call a function for each value.
//!
//! Everything here relies on `import` having checked the array against its schema: the number of
//! buffers and children, lengths, offsets in order, and that text is UTF-8.

use callmeter_plugin_abi::arrow::ArrowArray;

use super::data_type::{DataType, Field};
use super::value::{Decimal, Timestamp};

/// A column of a batch, or a member of a struct.
#[derive(Clone, Copy)]
pub struct Column<'a> {
    field: &'a Field,
    array: &'a ArrowArray,
    /// The index of row 0 in the buffers: the array's own offset plus those of its parents.
    base: usize,
    len: usize,
}

/// One value.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Missing, or of a type that this SDK does not read.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// A point in time.
    Timestamp(Timestamp),
    /// An exact decimal.
    Decimal(Decimal),
    /// Items.
    List(List<'a>),
    /// Named members.
    Struct(Struct<'a>),
}

impl<'a> Column<'a> {
    /// A child of a struct array whose row 0 is at `parent_base`.
    ///
    /// # Safety
    /// `parent` was checked against the schema that `field` is member `index` of.
    #[inline]
    pub(super) unsafe fn child(
        field: &'a Field,
        parent: &'a ArrowArray,
        parent_base: usize,
        len: usize,
        index: usize,
    ) -> Self {
        // SAFETY: the parent has as many children as its schema, none of them null.
        let array = unsafe { &**parent.children.add(index) };
        let base = parent_base + to_index(parent.offset) + to_index(array.offset);
        Self {
            field,
            array,
            base,
            len,
        }
    }

    /// The name.
    pub fn name(&self) -> &'a str {
        self.field.name()
    }

    /// Name, type and whether values may be null.
    pub fn field(&self) -> &'a Field {
        self.field
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the row has no value here. True after the last row, and in every row of a column
    /// whose type this SDK does not read.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        // Columns of type null and run-end encoded ones have no buffers, and the first buffer of a
        // union is not a validity bitmap.
        if row >= self.len || matches!(self.field.data_type(), DataType::Unsupported(_)) {
            return true;
        }
        // SAFETY: the array was checked to have the buffers of its type. Buffer 0 is the validity
        // bitmap, which covers the rows; null means all valid.
        unsafe {
            let bitmap = self.buffer(0);
            !bitmap.is_null() && !bit(bitmap, self.base + row)
        }
    }

    /// The row's value; [`Value::Null`] after the last row.
    #[inline]
    pub fn value(&self, row: usize) -> Value<'a> {
        if self.is_null(row) {
            return Value::Null;
        }
        let at = self.base + row;
        // SAFETY: the row exists and was checked; each type has the buffers that are read here.
        unsafe {
            match self.field.data_type() {
                DataType::Bool => Value::Bool(bit(self.buffer(1), at)),
                DataType::Int32 => Value::Int(self.fixed::<i32>(at).into()),
                DataType::Int64 => Value::Int(self.fixed(at)),
                DataType::Float64 => Value::Float(self.fixed(at)),
                DataType::Timestamp(unit) => {
                    Value::Timestamp(Timestamp::from_unit(self.fixed(at), *unit))
                }
                DataType::Decimal128 { scale } => {
                    Value::Decimal(Decimal::new(self.fixed(at), *scale))
                }
                DataType::Utf8 => Value::Text(self.text_at(at)),
                DataType::List(item) => Value::List(self.list_at(item, at)),
                DataType::Struct(fields) => Value::Struct(self.members_of(fields, row)),
                DataType::Unsupported(_) => Value::Null,
            }
        }
    }

    /// The row's text; `None` if it is null or the column holds something else.
    #[inline]
    pub fn text(&self, row: usize) -> Option<&'a str> {
        if *self.field.data_type() != DataType::Utf8 || self.is_null(row) {
            return None;
        }
        // SAFETY: a checked text column, and the row exists.
        Some(unsafe { self.text_at(self.base + row) })
    }

    /// The members of a column of structs, each with a row for each of its rows; `None` if the
    /// column holds something else.
    pub fn members(&self) -> Option<impl ExactSizeIterator<Item = Column<'a>> + use<'a>> {
        let DataType::Struct(fields) = self.field.data_type() else {
            return None;
        };
        let all = self.members_of(fields, 0);
        Some((0..fields.len()).map(move |index| all.member(index)))
    }

    fn members_of(&self, fields: &'a [Field], row: usize) -> Struct<'a> {
        Struct {
            fields,
            array: self.array,
            // `child` adds the array's own offset again.
            base: self.base - to_index(self.array.offset),
            len: self.len,
            row,
        }
    }

    /// The texts of all rows, joined without separators; `None` if the column holds something else.
    /// Use it to check all rows at once for something rare, such as a certain character.
    pub fn all_text(&self) -> Option<&'a str> {
        if *self.field.data_type() != DataType::Utf8 {
            return None;
        }
        if self.len == 0 {
            return Some("");
        }
        // SAFETY: a checked text column with rows: its offsets were checked up to `base + len`, and
        // all between the first and the last of them is UTF-8.
        unsafe {
            let (start, _) = self.span(self.base);
            let (_, end) = self.span(self.base + self.len - 1);
            if start == end {
                return Some("");
            }
            let bytes = std::slice::from_raw_parts(self.buffer(2).add(start), end - start);
            Some(std::str::from_utf8_unchecked(bytes))
        }
    }

    /// The index of row 0 in the buffers.
    pub(super) fn base(&self) -> usize {
        self.base
    }

    #[inline]
    pub(super) fn buffer(&self, index: usize) -> *const u8 {
        // SAFETY: the array was checked to have the buffers of its type, at least this many.
        unsafe { (*self.array.buffers.add(index)).cast() }
    }

    /// # Safety
    /// Buffer 1 holds values of type `T`, and `at` is among them.
    #[inline]
    unsafe fn fixed<T>(&self, at: usize) -> T {
        // SAFETY: the caller vouches for it. Producers need not align.
        unsafe { self.buffer(1).cast::<T>().add(at).read_unaligned() }
    }

    /// # Safety
    /// Buffer 1 holds offsets, and `at` is a row of them.
    #[inline]
    unsafe fn span(&self, at: usize) -> (usize, usize) {
        // SAFETY: the caller vouches for it; there is one offset more than rows.
        let (start, end) = unsafe { (self.fixed::<i32>(at), self.fixed::<i32>(at + 1)) };
        // Checked not to be negative.
        (
            usize::try_from(start).unwrap_or(0),
            usize::try_from(end).unwrap_or(0),
        )
    }

    /// # Safety
    /// A checked text column, and `at` is a row of it.
    #[inline]
    unsafe fn text_at(&self, at: usize) -> &'a str {
        // SAFETY: offsets are in order and every span was checked to be UTF-8.
        unsafe {
            let (start, end) = self.span(at);
            if start == end {
                // The buffer of an all-empty column may be null.
                return "";
            }
            let bytes = std::slice::from_raw_parts(self.buffer(2).add(start), end - start);
            std::str::from_utf8_unchecked(bytes)
        }
    }

    /// # Safety
    /// A checked list column, and `at` is a row of it.
    #[inline]
    pub(super) unsafe fn list(&self, at: usize) -> List<'a> {
        match self.field.data_type() {
            // SAFETY: the caller vouches for it.
            DataType::List(item) => unsafe { self.list_at(item, at) },
            _ => List {
                items: *self,
                start: 0,
                end: 0,
            },
        }
    }

    /// # Safety
    /// A checked list column, and `at` is a row of it.
    #[inline]
    unsafe fn list_at(&self, item: &'a Field, at: usize) -> List<'a> {
        // SAFETY: a list has one child, which covers all spans.
        unsafe {
            let (start, end) = self.span(at);
            let array = &**self.array.children;
            let items = Column {
                field: item,
                array,
                base: to_index(array.offset),
                len: to_index(array.length),
            };
            List { items, start, end }
        }
    }
}

/// Checked not to be negative when the batch came in.
#[inline]
fn to_index(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// # Safety
/// The bitmap holds more than `at` bits.
#[inline]
unsafe fn bit(bitmap: *const u8, at: usize) -> bool {
    // SAFETY: the caller vouches for it.
    unsafe { *bitmap.add(at / 8) >> (at % 8) & 1 == 1 }
}

/// The items of a list.
#[derive(Clone, Copy)]
pub struct List<'a> {
    items: Column<'a>,
    start: usize,
    end: usize,
}

impl<'a> List<'a> {
    /// The column of all items, and those of them that are in this list.
    #[inline]
    pub(super) fn items(&self) -> (Column<'a>, std::ops::Range<usize>) {
        (self.items, self.start..self.end)
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The item at this place, from 0; [`Value::Null`] after the last.
    pub fn get(&self, index: usize) -> Value<'a> {
        if index < self.len() {
            self.items.value(self.start + index)
        } else {
            Value::Null
        }
    }

    /// The items in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Value<'a>> + use<'a> {
        let items = self.items;
        (self.start..self.end).map(move |at| items.value(at))
    }
}

/// The members of a struct.
#[derive(Clone, Copy)]
pub struct Struct<'a> {
    fields: &'a [Field],
    array: &'a ArrowArray,
    base: usize,
    len: usize,
    row: usize,
}

/// Used as the array of a struct that is missing. It is never read, because the struct has no
/// fields.
struct NoArray(ArrowArray);

// SAFETY: it holds null pointers only.
unsafe impl Sync for NoArray {}

static NO_ARRAY: NoArray = NoArray(ArrowArray::empty());

impl<'a> Struct<'a> {
    /// A struct without members.
    pub(super) fn empty() -> Self {
        Self {
            fields: &[],
            array: &NO_ARRAY.0,
            base: 0,
            len: 0,
            row: 0,
        }
    }

    /// The member of this name; [`Value::Null`] if there is none.
    pub fn get(&self, name: &str) -> Value<'a> {
        match self.fields.iter().position(|field| field.name() == name) {
            Some(index) => self.member(index).value(self.row),
            None => Value::Null,
        }
    }

    /// Names and values, in the schema's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let this = *self;
        (0..this.fields.len()).map(move |index| {
            let member = this.member(index);
            (member.name(), member.value(this.row))
        })
    }

    #[inline]
    fn member(&self, index: usize) -> Column<'a> {
        // SAFETY: the struct was checked against its fields, and the index is one of them.
        unsafe { Column::child(&self.fields[index], self.array, self.base, self.len, index) }
    }
}

macro_rules! debug_as {
    ($type:ident, $list:ident, $entries:ident) => {
        impl std::fmt::Debug for $type<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.$list().entries(self.$entries()).finish()
            }
        }
    };
}

debug_as!(List, debug_list, iter);
debug_as!(Struct, debug_map, iter);

impl std::fmt::Debug for Column<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Column")
            .field("field", self.field)
            .field("len", &self.len)
            .finish()
    }
}
