//! Columns of one known type: the type is looked up once for all rows, not for each value.
//!
//! [`Column::value`] reads any column. A plugin that handles many rows gets its values faster from
//! one of these.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use callmeter_plugin_abi::arrow::ArrowArray;

use super::column::{Column, List};
use super::data_type::{DataType, TimeUnit};
use super::value::Timestamp;

/// Where the values of a column lie.
#[derive(Clone, Copy)]
struct Place<'a> {
    /// The validity bitmap; null means that all rows have a value.
    valid: *const u8,
    /// The values, or where each of them ends.
    values: *const u8,
    /// The index of row 0 in the buffers.
    base: usize,
    len: usize,
    array: PhantomData<&'a ArrowArray>,
}

/// The texts of a column, see [`Column::texts`].
#[derive(Clone, Copy)]
pub struct Texts<'a> {
    place: Place<'a>,
    bytes: *const u8,
}

/// The integers of a column, see [`Column::ints`].
#[derive(Clone, Copy)]
pub struct Ints<'a> {
    place: Place<'a>,
    is_wide: bool,
}

/// The times of a column, see [`Column::times`].
#[derive(Clone, Copy)]
pub struct Times<'a> {
    place: Place<'a>,
    unit: TimeUnit,
}

/// The truth values of a column, see [`Column::truths`].
#[derive(Clone, Copy)]
pub struct Truths<'a> {
    place: Place<'a>,
}

/// The lists of a column, see [`Column::lists`].
#[derive(Clone, Copy)]
pub struct Lists<'a> {
    place: Place<'a>,
    column: Column<'a>,
}

impl<'a> Column<'a> {
    /// The texts; `None` if the column holds something else.
    #[inline]
    pub fn texts(&self) -> Option<Texts<'a>> {
        (*self.field().data_type() == DataType::Utf8).then(|| Texts {
            place: self.place(),
            bytes: self.buffer(2),
        })
    }

    /// The integers; `None` if the column holds something else.
    pub fn ints(&self) -> Option<Ints<'a>> {
        let is_wide = match self.field().data_type() {
            DataType::Int32 => false,
            DataType::Int64 => true,
            _ => return None,
        };
        Some(Ints {
            place: self.place(),
            is_wide,
        })
    }

    /// The times; `None` if the column holds something else.
    pub fn times(&self) -> Option<Times<'a>> {
        let DataType::Timestamp(unit) = *self.field().data_type() else {
            return None;
        };
        Some(Times {
            place: self.place(),
            unit,
        })
    }

    /// The truth values; `None` if the column holds something else.
    pub fn truths(&self) -> Option<Truths<'a>> {
        (*self.field().data_type() == DataType::Bool).then(|| Truths {
            place: self.place(),
        })
    }

    /// The lists; `None` if the column holds something else.
    pub fn lists(&self) -> Option<Lists<'a>> {
        matches!(self.field().data_type(), DataType::List(_)).then(|| Lists {
            place: self.place(),
            column: *self,
        })
    }

    /// For a column whose type has a bitmap and values, in this order.
    fn place(&self) -> Place<'a> {
        Place {
            valid: self.buffer(0),
            values: self.buffer(1),
            base: self.base(),
            len: self.len(),
            array: PhantomData,
        }
    }
}

impl Place<'_> {
    /// The index in the buffers of a row that has a value.
    #[inline]
    fn at(&self, row: usize) -> Option<usize> {
        if row >= self.len {
            return None;
        }
        let at = self.base + row;
        // SAFETY: the row exists, so a bitmap, if there is one, covers it.
        let is_valid =
            self.valid.is_null() || unsafe { *self.valid.add(at / 8) >> (at % 8) & 1 == 1 };
        is_valid.then_some(at)
    }

    /// # Safety
    /// The values are of the type `T`, and `at` is among them.
    #[inline]
    unsafe fn value<T>(&self, at: usize) -> T {
        // SAFETY: the caller vouches for it. Producers need not align.
        unsafe { self.values.cast::<T>().add(at).read_unaligned() }
    }
}

impl<'a> Texts<'a> {
    /// The row's text; `None` if it is null, and after the last row.
    #[inline]
    pub fn get(&self, row: usize) -> Option<&'a str> {
        let at = self.place.at(row)?;
        // SAFETY: a checked text column, and the row exists: its values are offsets, one more than
        // rows. They were checked not to be negative, so they can be read as unsigned.
        let (start, end) =
            unsafe { (self.place.value::<u32>(at), self.place.value::<u32>(at + 1)) };
        if start == end {
            // The buffer of an all-empty column may be null.
            return Some("");
        }
        let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
        // SAFETY: offsets were checked to be in order, and every span to be UTF-8.
        Some(unsafe {
            let bytes = std::slice::from_raw_parts(self.bytes.add(start), end - start);
            std::str::from_utf8_unchecked(bytes)
        })
    }
}

impl Ints<'_> {
    /// The row's integer; `None` if it is null, and after the last row.
    #[inline]
    pub fn get(&self, row: usize) -> Option<i64> {
        let at = self.place.at(row)?;
        // SAFETY: a checked column of this width, and the row exists.
        Some(unsafe {
            if self.is_wide {
                self.place.value(at)
            } else {
                i64::from(self.place.value::<i32>(at))
            }
        })
    }
}

impl Times<'_> {
    /// The row's time; `None` if it is null, and after the last row.
    #[inline]
    pub fn get(&self, row: usize) -> Option<Timestamp> {
        let at = self.place.at(row)?;
        // SAFETY: a checked column of 64-bit counts, and the row exists.
        let count = unsafe { self.place.value(at) };
        Some(Timestamp::from_unit(count, self.unit))
    }
}

impl Truths<'_> {
    /// The row's truth value; `None` if it is null, and after the last row.
    #[inline]
    pub fn get(&self, row: usize) -> Option<bool> {
        let at = self.place.at(row)?;
        // SAFETY: a checked column of bits, and the row exists.
        Some(unsafe { *self.place.values.add(at / 8) >> (at % 8) & 1 == 1 })
    }
}

impl<'a> Lists<'a> {
    /// The row's list; `None` if it is null, and after the last row.
    #[inline]
    pub fn get(&self, row: usize) -> Option<List<'a>> {
        let at = self.place.at(row)?;
        // SAFETY: a checked column of lists, and the row exists.
        Some(unsafe { self.column.list(at) })
    }

    /// The items of all lists as one column; `None` if there is no list.
    pub fn items(&self) -> Option<Column<'a>> {
        let list = (0..self.place.len).find_map(|row| self.get(row))?;
        Some(list.items().0)
    }

    /// The rows of [`items`](Self::items) that are the row's list; `None` if it is null, and after
    /// the last row.
    #[inline]
    pub fn span(&self, row: usize) -> Option<Range<usize>> {
        Some(self.get(row)?.items().1)
    }
}

impl<'a> List<'a> {
    /// The items of a list of texts, in order; `None` if it holds something else.
    #[inline]
    pub fn texts(&self) -> Option<impl ExactSizeIterator<Item = Option<&'a str>> + use<'a>> {
        let (items, span) = self.items();
        let texts = items.texts()?;
        Some(span.map(move |item| texts.get(item)))
    }
}

macro_rules! debug_values {
    ($($type:ident)*) => {
        $(impl fmt::Debug for $type<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let values = (0..self.place.len).map(|row| self.get(row));
                f.debug_list().entries(values).finish()
            }
        })*
    };
}

debug_values!(Texts Ints Times Truths Lists);
