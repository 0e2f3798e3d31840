//! The rows of a batch as lines. What does not depend on the row is found once for the batch: each
//! column's type, whether its texts need quotes, and the columns that are the same in each row. A
//! usual call takes 3,200 instructions.

use callmeter_plugin_sdk::Batch;
use callmeter_plugin_sdk::batch::{Column, Ints, Lists, Texts, Times, Truths};

use crate::cell::{Cells, push_int};
use crate::fixed::Fixed;
use crate::objects::Objects;

/// Writes the header.
pub(crate) fn push_header(cells: &Cells, out: &mut Vec<u8>, columns: &[String]) {
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        cells.push_text(out, column);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a line for each row of the batch, with a cell for each of `columns`.
pub(crate) fn push_rows(cells: &mut Cells, out: &mut Vec<u8>, batch: &Batch, columns: &[String]) {
    let line = Line::new(cells, batch, columns);
    for row in 0..batch.len() {
        line.push(cells, out, row);
    }
}

/// How the lines of a batch are written.
#[derive(Debug)]
struct Line<'a> {
    /// The cells that differ between rows, each with the bytes before it.
    cells: Vec<(Fixed, Cell<'a>)>,
    /// The bytes after the last of them.
    end: Fixed,
}

/// The cells of a column whose values differ.
#[derive(Debug)]
enum Cell<'a> {
    /// None of the texts needs quotes, except the empty one.
    Plain(Texts<'a>),
    Texts(Texts<'a>),
    Ints(Ints<'a>),
    Times(Times<'a>),
    Truths(Truths<'a>),
    Lists(Lists<'a>),
    Objects(Objects<'a>),
    Other(Column<'a>),
}

impl<'a> Line<'a> {
    fn new(cells: &mut Cells, batch: &'a Batch, columns: &[String]) -> Self {
        let mut varying = Vec::with_capacity(columns.len());
        let mut fixed = Vec::new();
        for (index, name) in columns.iter().enumerate() {
            if index > 0 {
                fixed.push(b',');
            }
            // A column that the batch does not have is empty.
            let Some(column) = batch.column(name) else {
                continue;
            };
            if is_same_in_all_rows(&column) {
                cells.push(&mut fixed, &column.value(0));
            } else {
                let cell = Cell::of(cells, column);
                varying.push((Fixed::new(std::mem::take(&mut fixed)), cell));
            }
        }
        fixed.extend_from_slice(b"\r\n");
        Self {
            cells: varying,
            end: Fixed::new(fixed),
        }
    }

    fn push(&self, cells: &mut Cells, out: &mut Vec<u8>, row: usize) {
        for (before, cell) in &self.cells {
            before.push(out);
            match cell {
                Cell::Plain(texts) => match texts.get(row) {
                    Some("") => out.extend_from_slice(b"\"\""),
                    Some(text) => out.extend_from_slice(text.as_bytes()),
                    None => {}
                },
                Cell::Texts(texts) => {
                    if let Some(text) = texts.get(row) {
                        cells.push_text(out, text);
                    }
                }
                Cell::Ints(ints) => {
                    if let Some(number) = ints.get(row) {
                        push_int(out, number);
                    }
                }
                Cell::Times(times) => {
                    if let Some(time) = times.get(row) {
                        cells.push_time(out, time);
                    }
                }
                Cell::Truths(truths) => match truths.get(row) {
                    Some(true) => out.extend_from_slice(b"true"),
                    Some(false) => out.extend_from_slice(b"false"),
                    None => {}
                },
                Cell::Lists(lists) => {
                    if let Some(list) = lists.get(row) {
                        cells.push_list(out, list);
                    }
                }
                Cell::Objects(objects) => objects.push(cells, out, row),
                Cell::Other(column) => cells.push(out, &column.value(row)),
            }
        }
        self.end.push(out);
    }
}

impl<'a> Cell<'a> {
    fn of(cells: &mut Cells, column: Column<'a>) -> Self {
        if let Some(texts) = column.texts() {
            let is_plain = column.all_text().is_some_and(|text| cells.is_plain(text));
            return if is_plain {
                Self::Plain(texts)
            } else {
                Self::Texts(texts)
            };
        }
        let ints = column.ints().map(Self::Ints);
        let times = || column.times().map(Self::Times);
        let truths = || column.truths().map(Self::Truths);
        let lists = || {
            let lists = column.lists()?;
            Some(Objects::of(cells, lists).map_or(Self::Lists(lists), Self::Objects))
        };
        let typed = ints.or_else(times).or_else(truths).or_else(lists);
        typed.unwrap_or(Self::Other(column))
    }
}

/// Whether all rows have the same value, so that its cell is written once for the batch. Stops at
/// the first row that differs. Of lists and structs it only finds those that are all empty.
fn is_same_in_all_rows(column: &Column<'_>) -> bool {
    fn same<T: PartialEq>(column: &Column<'_>, value: impl Fn(usize) -> T) -> bool {
        let first = value(0);
        (1..column.len()).all(|row| value(row) == first)
    }
    if let (Some(texts), Some(all)) = (column.texts(), column.all_text()) {
        // All texts, joined, repeat the first one if each is as long as it.
        let length = texts.get(0).map_or(0, str::len);
        return same(column, |row| texts.get(row).map(str::len))
            && all.get(length..) == all.get(..all.len() - length);
    }
    if let Some(ints) = column.ints() {
        return same(column, |row| ints.get(row));
    }
    if let Some(times) = column.times() {
        return same(column, |row| times.get(row));
    }
    if let Some(truths) = column.truths() {
        return same(column, |row| truths.get(row));
    }
    if let Some(lists) = column.lists() {
        let is_empty = |row| lists.get(row).map(|list| list.is_empty());
        return is_empty(0) != Some(false) && same(column, is_empty);
    }
    (0..column.len()).all(|row| column.is_null(row))
}

#[cfg(test)]
mod tests {
    use arrow_array::RecordBatch;
    use callmeter_plugin_testkit::generate::{self, Recipe};
    use callmeter_records::Stream;
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    /// Each cell by itself, from any kind of value.
    fn plainly(guard: bool, batch: &Batch, columns: &[String]) -> String {
        let mut cells = Cells::new(guard);
        let mut out = Vec::new();
        for row in 0..batch.len() {
            for (index, name) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                if let Some(column) = batch.column(name) {
                    cells.push(&mut out, &column.value(row));
                }
            }
            out.extend_from_slice(b"\r\n");
        }
        String::from_utf8(out).unwrap()
    }

    fn lines(guard: bool, batch: &Batch, columns: &[String]) -> String {
        let mut out = Vec::new();
        push_rows(&mut Cells::new(guard), &mut out, batch, columns);
        String::from_utf8(out).unwrap()
    }

    fn records(kind: usize, recipe: Recipe) -> RecordBatch {
        match kind {
            0 => generate::any_batch(recipe.rows, recipe.nulls, recipe.seed),
            1 => generate::later_batch(Stream::Calls, recipe),
            2 => testing::calls(1, recipe.rows, testing::AUGUST_6),
            kind => {
                let stream = Stream::ALL.into_iter().nth(kind - 3);
                generate::batch(stream.unwrap(), recipe)
            }
        }
    }

    proptest! {
        #[test]
        fn lines_are_those_of_cells_that_are_written_one_by_one(
            kind in 0..3 + Stream::ALL.len(),
            rows in 1..20_usize,
            nulls in prop::sample::select(vec![0, 20, 100]),
            seed: u64,
            skipped: prop::sample::Index,
            taken: prop::sample::Index,
            guard: bool,
            turned: prop::sample::Index,
        ) {
            let recipe = Recipe { rows, nulls, seed, first: 1 };
            let skipped = skipped.index(rows);
            let records = records(kind, recipe).slice(skipped, 1 + taken.index(rows - skipped));
            let batch = testing::batch(1, records);
            let mut columns: Vec<String> =
                batch.fields().iter().map(|field| field.name().to_owned()).collect();
            columns.insert(1, "a column of an earlier batch".to_owned());
            let turned = turned.index(columns.len());
            columns.rotate_left(turned);
            prop_assert_eq!(lines(guard, &batch, &columns), plainly(guard, &batch, &columns));
        }
    }
}
