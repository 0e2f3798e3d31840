//! Lists of objects, such as the interactions of a call, as JSON in a cell. What does not depend on
//! the row is found once for the batch: the type of each member, and its name as JSON. This takes
//! two thirds of the instructions of [`Cells::push_list`], which looks at each value by itself.

use callmeter_plugin_sdk::batch::{Column, Ints, Lists, Texts, Times};

use crate::cell::{Cells, push_int};
use crate::fixed::Fixed;

/// A column of lists of objects.
#[derive(Debug)]
pub(crate) struct Objects<'a> {
    lists: Lists<'a>,
    items: Column<'a>,
    /// Each with the bytes before it.
    members: Vec<(Fixed, Member<'a>)>,
}

/// A member of the objects.
#[derive(Debug)]
enum Member<'a> {
    Texts(Texts<'a>),
    Ints(Ints<'a>),
    Times(Times<'a>),
    Other(Column<'a>),
}

impl<'a> Objects<'a> {
    /// `None` if these are not lists of objects, or there is nothing in them.
    pub(crate) fn of(cells: &mut Cells, lists: Lists<'a>) -> Option<Self> {
        let items = lists.items()?;
        let mut members = Vec::new();
        for member in items.members()? {
            let mut before = vec![if members.is_empty() { b'{' } else { b',' }];
            cells.push_json_text(&mut before, member.name());
            before.push(b':');
            members.push((Fixed::new(before), Member::of(member)));
        }
        (!members.is_empty()).then_some(Self {
            lists,
            items,
            members,
        })
    }

    pub(crate) fn push(&self, cells: &mut Cells, out: &mut Vec<u8>, row: usize) {
        let Some(span) = self.lists.span(row) else {
            return;
        };
        out.extend_from_slice(b"\"[");
        let first = span.start;
        for item in span {
            if item > first {
                out.push(b',');
            }
            if self.items.is_null(item) {
                out.extend_from_slice(b"null");
                continue;
            }
            for (before, member) in &self.members {
                before.push(out);
                if !member.push(cells, out, item) {
                    out.extend_from_slice(b"null");
                }
            }
            out.push(b'}');
        }
        out.extend_from_slice(b"]\"");
    }
}

impl<'a> Member<'a> {
    fn of(column: Column<'a>) -> Self {
        let texts = column.texts().map(Self::Texts);
        let ints = || column.ints().map(Self::Ints);
        let times = || column.times().map(Self::Times);
        let typed = texts.or_else(ints).or_else(times);
        typed.unwrap_or(Self::Other(column))
    }

    /// Writes the item's value. False, and nothing is written, if it is null.
    #[inline]
    fn push(&self, cells: &mut Cells, out: &mut Vec<u8>, item: usize) -> bool {
        match self {
            Self::Texts(texts) => {
                let text = texts.get(item);
                text.inspect(|text| cells.push_json_text(out, text))
                    .is_some()
            }
            Self::Ints(ints) => {
                let number = ints.get(item);
                number.inspect(|number| push_int(out, *number)).is_some()
            }
            Self::Times(times) => {
                let time = times.get(item);
                time.inspect(|time| cells.push_json_time(out, *time))
                    .is_some()
            }
            Self::Other(column) => {
                cells.push_json(out, &column.value(item));
                true
            }
        }
    }
}
