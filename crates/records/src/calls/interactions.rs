//! What happened during a call: the items of the column `interactions`.

use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray, StructArray};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields};

use crate::column_lookup::{Columns, ViewError};
use crate::hash::FieldHasher;
use crate::lists::{self, Lists};
use crate::reading::Reading;
use crate::table::{kind, name};
use crate::unreadable::UnreadableJson;

macro_rules! items {
    ($($name:ident $(as $column:literal)?: $kind:ident = $member:literal, $doc:literal;)*) => {
        /// Something that happened during a call.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Interaction<'a> {
            $(#[doc = $doc] pub $name: kind!(@field $kind),)*
        }

        fn fields() -> Fields {
            Fields::from(vec![$(Field::new(name!($name $(as $column)?), kind!(@type $kind), true)),*])
        }

        /// Builds the column.
        #[derive(Debug, Default)]
        pub(crate) struct InteractionsBuilder {
            $($name: kind!(@builder $kind),)*
            items: usize,
            lists: Lists,
        }

        impl InteractionsBuilder {
            pub(crate) fn with_capacity(rows: usize) -> Self {
                // A call has two or three.
                let items = rows * 3;
                Self {
                    $($name: kind!(@with_capacity $kind, items),)*
                    items: 0,
                    lists: Lists::with_capacity(rows),
                }
            }

            pub(crate) fn append(&mut self, interactions: Option<&[Interaction<'_>]>) {
                for interaction in interactions.unwrap_or_default() {
                    $(kind!(@append $kind, self.$name, interaction.$name);)*
                    self.items += 1;
                }
                self.lists.close(self.items, interactions.is_some());
            }

            pub(crate) fn finish(&mut self) -> Result<ListArray, ArrowError> {
                self.items = 0;
                let columns: Vec<ArrayRef> = vec![$(Arc::new(kind!(@finish $kind, self.$name))),*];
                let items = StructArray::try_new(fields(), columns, None)?;
                self.lists.finish(item(), Arc::new(items))
            }
        }

        /// The column, row by row.
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct InteractionsView<'a> {
            lists: &'a ListArray,
            $($name: kind!(@column $kind),)*
        }

        impl<'a> InteractionsView<'a> {
            pub(crate) fn new(find: &Columns<'a>, column: &'static str) -> Result<Self, ViewError> {
                let lists = find.get(column)?;
                let find = Columns::of_struct(lists::items(lists, column)?);
                Ok(Self {
                    lists,
                    $($name: kind!(@find $kind, find, name!($name $(as $column)?)),)*
                })
            }

            /// The row's interactions; `None` where the API gave no list.
            pub(crate) fn row(
                &self,
                row: usize,
            ) -> Option<impl ExactSizeIterator<Item = Interaction<'a>> + use<'a>> {
                let view = *self;
                Some(lists::range(self.lists, row)?.map(move |item| Interaction {
                    $($name: kind!(@get $kind, view.$name, item).into(),)*
                }))
            }
        }

        /// Notes what could not be read.
        pub(crate) fn note(json: &mut UnreadableJson<'_>, list: &str, items: Option<&[Interaction<'_>]>) {
            for (index, item) in items.unwrap_or_default().iter().enumerate() {
                $(note_item!($kind, json, list, index, $member, item.$name);)*
            }
        }

        /// Feeds the interactions of a call into its fingerprint.
        pub(crate) fn feed<'i>(
            hasher: &mut FieldHasher,
            items: Option<impl ExactSizeIterator<Item = Interaction<'i>>>,
        ) {
            hasher.list(items.as_ref().map(ExactSizeIterator::len));
            for item in items.into_iter().flatten() {
                $(kind!(@feed $kind, hasher, kind!(@known $kind, item.$name));)*
            }
        }
    };
}

macro_rules! note_item {
    (text, $json:ident, $list:ident, $index:ident, $member:literal, $value:expr) => {};
    ($kind:ident, $json:ident, $list:ident, $index:ident, $member:literal, $value:expr) => {
        if let Some(text) = $value.unreadable() {
            $json.add(&format!("{}[{}].{}", $list, $index, $member), text);
        }
    };
}

callmeter_record_tables::interactions! { items }

/// The item of the list.
pub(crate) fn item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Struct(fields()), false))
}
