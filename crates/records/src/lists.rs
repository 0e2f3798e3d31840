//! Columns whose values are lists.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::{ArrayBuilder as _, StringBuilder};
use arrow_array::{Array as _, ArrayRef, ListArray, StringArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, FieldRef};

use crate::column_lookup::{Columns, ViewError};
use crate::hash::FieldHasher;

/// Offsets and validity of a list column, whose items are built separately.
#[derive(Debug)]
pub(crate) struct Lists {
    ends: Vec<i32>,
    validity: NullBufferBuilder,
}

impl Default for Lists {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl Lists {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Self {
            ends,
            validity: NullBufferBuilder::new(rows),
        }
    }

    /// Ends the row's list after `items` items of all rows so far.
    pub(crate) fn close(&mut self, items: usize, valid: bool) {
        // Beyond 2³¹ items `finish` refuses the offsets.
        self.ends.push(i32::try_from(items).unwrap_or(-1));
        self.validity.append(valid);
    }

    pub(crate) fn finish(
        &mut self,
        item: FieldRef,
        items: ArrayRef,
    ) -> Result<ListArray, ArrowError> {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        if ends.contains(&-1) {
            return Err(ArrowError::OffsetOverflowError(items.len()));
        }
        ListArray::try_new(
            item,
            OffsetBuffer::new(ScalarBuffer::from(ends)),
            items,
            self.validity.finish(),
        )
    }
}

/// The items of a row's list; `None` where it is null.
pub(crate) fn range(list: &ListArray, row: usize) -> Option<Range<usize>> {
    let offsets = list.value_offsets();
    let from = usize::try_from(*offsets.get(row)?).ok()?;
    let to = usize::try_from(*offsets.get(row + 1)?).ok()?;
    list.is_valid(row).then_some(from..to)
}

/// The items of all rows' lists, if they are of type `A`.
pub(crate) fn items<'a, A: 'static>(
    list: &'a ListArray,
    column: &'static str,
) -> Result<&'a A, ViewError> {
    list.values()
        .as_any()
        .downcast_ref()
        .ok_or_else(|| ViewError::ColumnType {
            column,
            found: list.data_type().clone(),
            expected: std::any::type_name::<A>(),
        })
}

/// The item of a list of texts.
pub(crate) fn text_item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Utf8, false))
}

/// Builds a column of lists of texts.
#[derive(Debug, Default)]
pub(crate) struct TextListsBuilder {
    texts: StringBuilder,
    lists: Lists,
}

impl TextListsBuilder {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self {
            texts: StringBuilder::with_capacity(rows, 0),
            lists: Lists::with_capacity(rows),
        }
    }

    pub(crate) fn append(&mut self, list: Option<&[&str]>) {
        for text in list.unwrap_or_default() {
            self.texts.append_value(text);
        }
        self.lists.close(self.texts.len(), list.is_some());
    }

    pub(crate) fn finish(&mut self) -> Result<ListArray, ArrowError> {
        let texts = Arc::new(self.texts.finish());
        self.lists.finish(text_item(), texts)
    }
}

/// A column of lists of texts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextLists<'a> {
    lists: &'a ListArray,
    texts: &'a StringArray,
}

impl<'a> TextLists<'a> {
    pub(crate) fn new(find: &Columns<'a>, column: &'static str) -> Result<Self, ViewError> {
        let lists = find.get(column)?;
        let texts = items(lists, column)?;
        Ok(Self { lists, texts })
    }

    pub(crate) fn row(
        &self,
        row: usize,
    ) -> Option<impl ExactSizeIterator<Item = &'a str> + use<'a>> {
        let texts = self.texts;
        Some(range(self.lists, row)?.map(move |item| texts.value(item)))
    }
}

/// Feeds a list of texts into a fingerprint.
pub(crate) fn feed_texts<'t>(
    hasher: &mut FieldHasher,
    list: Option<impl ExactSizeIterator<Item = &'t str>>,
) {
    hasher.list(list.as_ref().map(ExactSizeIterator::len));
    for text in list.into_iter().flatten() {
        hasher.text(Some(text));
    }
}
