//! Rows with every column of a batch, found by name.

use super::column::Value;
use super::owned::Batch;

impl Batch {
    /// The records, each with every column.
    pub fn rows(&self) -> Rows<'_> {
        Rows::new(self)
    }
}

/// One record with all its columns.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    batch: &'a Batch,
    index: usize,
}

impl<'a> Row<'a> {
    /// The value in the column of this name; [`Value::Null`] if there is none.
    pub fn get(&self, name: &str) -> Value<'a> {
        self.batch
            .column(name)
            .map_or(Value::Null, |column| column.value(self.index))
    }

    /// Names and values, in the schema's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let index = self.index;
        self.batch
            .columns()
            .map(move |column| (column.name(), column.value(index)))
    }
}

/// The records of a batch, in order.
#[derive(Clone)]
pub struct Rows<'a> {
    batch: &'a Batch,
    next: usize,
}

impl<'a> Rows<'a> {
    fn new(batch: &'a Batch) -> Self {
        Self { batch, next: 0 }
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        let index = self.next;
        if index >= self.batch.len() {
            return None;
        }
        self.next += 1;
        Some(Row {
            batch: self.batch,
            index,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batch.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Rows<'_> {}

impl std::fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl std::fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
