//! Tables of series: rows in chunks, which snapshots share and which are copied on change.

use std::collections::HashMap;
use std::sync::Arc;

use callmeter_records::CallField;

use crate::counted_call::{CallTime, Count};
use crate::histogram::HistogramColumn;
use crate::label_text::{LabelBlock, without_labels};

/// The value columns of a table.
pub(crate) trait Columns: Clone + Default {
    /// Rows per chunk: the number copied when one row of a shared chunk changes.
    const CHUNK_ROWS: usize;

    /// Adds a row of zeros.
    fn push(&mut self);

    /// Adds a row of other columns to a row.
    fn merge(&mut self, place: usize, from: &Self, from_place: usize);

    /// Memory of the columns, in bytes.
    fn resident_bytes(&self) -> usize;
}

/// A run of rows: their labels, start times and values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chunk<C> {
    pub(crate) labels: Arc<LabelBlock>,
    /// Since when each row is counted, in microseconds since 1970.
    pub(crate) created: Vec<i64>,
    pub(crate) columns: C,
}

/// A table that only grows.
#[derive(Clone, Debug)]
pub(crate) struct Table<C> {
    chunks: Vec<Arc<Chunk<C>>>,
    rows: usize,
}

impl<C> Default for Table<C> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            rows: 0,
        }
    }
}

impl<C: Columns> Table<C> {
    pub(crate) fn chunks(&self) -> &[Arc<Chunk<C>>] {
        &self.chunks
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row of zeros and returns its number.
    pub(crate) fn push(&mut self, names: &[&str], values: &[&str], created: i64) -> u32 {
        self.push_with(created, |labels| labels.push(names, values))
    }

    pub(crate) fn push_with(&mut self, created: i64, label: impl FnOnce(&mut LabelBlock)) -> u32 {
        let row = self.rows;
        if row.is_multiple_of(C::CHUNK_ROWS) {
            self.chunks.push(Arc::default());
        }
        if let Some(chunk) = self.chunks.last_mut() {
            let chunk = Arc::make_mut(chunk);
            label(Arc::make_mut(&mut chunk.labels));
            chunk.created.push(created);
            chunk.columns.push();
        }
        self.rows += 1;
        // The cap on label sets keeps tables far below 2^32 rows.
        u32::try_from(row).unwrap_or(u32::MAX)
    }

    /// Changes a row: `change` gets its chunk and its index there.
    pub(crate) fn change(&mut self, row: u32, change: impl FnOnce(&mut Chunk<C>, usize)) {
        let row = row as usize;
        if let Some(chunk) = self.chunks.get_mut(row / C::CHUNK_ROWS) {
            change(Arc::make_mut(chunk), row % C::CHUNK_ROWS);
        }
    }

    /// The chunk of a row, and its index there.
    pub(crate) fn row(&self, row: u32) -> Option<(&Chunk<C>, usize)> {
        let row = row as usize;
        let chunk = self.chunks.get(row / C::CHUNK_ROWS)?;
        Some((chunk, row % C::CHUNK_ROWS))
    }

    /// Sets since when a row is counted.
    pub(crate) fn set_created(&mut self, row: u32, created: i64) {
        self.change(row, |chunk, place| {
            if let Some(slot) = chunk.created.get_mut(place) {
                *slot = created;
            }
        });
    }

    /// The same figures without these labels: rows that become the same are added up.
    pub(crate) fn without(&self, labels: &[&str]) -> Self {
        let mut reduced = Self::default();
        let mut rows: HashMap<String, u32> = HashMap::new();
        for chunk in &self.chunks {
            for place in 0..chunk.labels.len() {
                let text = without_labels(chunk.labels.row(place), labels);
                let created = chunk.created.get(place).copied().unwrap_or(0);
                let row = rows.get(&text).copied().unwrap_or_else(|| {
                    let row = reduced.push_with(created, |labels| labels.push_text(&text));
                    rows.insert(text, row);
                    row
                });
                reduced.change(row, |into, at| {
                    into.columns.merge(at, &chunk.columns, place);
                    if let Some(slot) = into.created.get_mut(at) {
                        *slot = (*slot).min(created);
                    }
                });
            }
        }
        reduced
    }

    /// Memory of the label text, in bytes.
    pub(crate) fn label_bytes(&self) -> usize {
        let labels = self.chunks.iter().map(|chunk| &chunk.labels);
        labels.map(|labels| labels.resident_bytes()).sum()
    }

    pub(crate) fn resident_bytes(&self) -> usize {
        let chunks: usize = self
            .chunks
            .iter()
            .map(|chunk| {
                size_of::<Chunk<C>>()
                    + size_of::<LabelBlock>()
                    + chunk.labels.resident_bytes()
                    + chunk.created.capacity() * size_of::<i64>()
                    + chunk.columns.resident_bytes()
            })
            .sum();
        chunks + self.chunks.capacity() * size_of::<usize>()
    }
}

/// Columns of numbers, one for each of a fixed list of figures.
#[derive(Clone, Debug)]
pub(crate) struct Numbers<T, const N: usize> {
    pub(crate) columns: [Vec<T>; N],
}

/// The call counters, in the order of [`Count::ALL`](crate::Count::ALL).
pub(crate) type CallCounts = Numbers<u64, { Count::COUNTERS }>;

/// The sums of a client's times in milliseconds, in the order of
/// [`CallField::ALL`](callmeter_records::CallField::ALL).
pub(crate) type ClientSums = Numbers<i128, { CallField::ALL.len() }>;

impl<T, const N: usize> Default for Numbers<T, N> {
    fn default() -> Self {
        Self {
            columns: [const { Vec::new() }; N],
        }
    }
}

impl<T: Copy + Default + std::ops::AddAssign, const N: usize> Columns for Numbers<T, N> {
    const CHUNK_ROWS: usize = 64;

    fn push(&mut self) {
        for column in &mut self.columns {
            column.push(T::default());
        }
    }

    fn merge(&mut self, place: usize, from: &Self, from_place: usize) {
        for (column, from) in self.columns.iter_mut().zip(&from.columns) {
            add_number(column, place, from, from_place);
        }
    }

    fn resident_bytes(&self) -> usize {
        let rows: usize = self.columns.iter().map(Vec::capacity).sum();
        rows * size_of::<T>()
    }
}

/// The histograms of call times, in the order of [`CallTime::ALL`].
#[derive(Clone, Debug, Default)]
pub(crate) struct CallTimes {
    pub(crate) columns: [HistogramColumn; CallTime::ALL.len()],
}

impl Columns for CallTimes {
    // A row takes about 1 KiB: small chunks limit what is copied per page.
    const CHUNK_ROWS: usize = 16;

    fn push(&mut self) {
        self.columns.iter_mut().for_each(HistogramColumn::push);
    }

    fn merge(&mut self, place: usize, from: &Self, from_place: usize) {
        for (column, from) in self.columns.iter_mut().zip(&from.columns) {
            if let Some(row) = from.row(from_place) {
                column.merge(place, &row);
            }
        }
    }

    fn resident_bytes(&self) -> usize {
        let columns = self.columns.iter().map(HistogramColumn::resident_bytes);
        columns.sum()
    }
}

/// The figures of a center and direction: sums over its clients.
#[derive(Clone, Debug, Default)]
pub(crate) struct CenterFigures {
    pub(crate) counts: CallCounts,
    pub(crate) times: CallTimes,
}

impl Columns for CenterFigures {
    const CHUNK_ROWS: usize = 16;

    fn push(&mut self) {
        self.counts.push();
        self.times.push();
    }

    fn merge(&mut self, place: usize, from: &Self, from_place: usize) {
        self.counts.merge(place, &from.counts, from_place);
        self.times.merge(place, &from.times, from_place);
    }

    fn resident_bytes(&self) -> usize {
        self.counts.resident_bytes() + self.times.resident_bytes()
    }
}

/// One exact amount per row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Amounts(pub(crate) Vec<i128>);

impl Columns for Amounts {
    const CHUNK_ROWS: usize = 64;

    fn push(&mut self) {
        self.0.push(0);
    }

    fn merge(&mut self, place: usize, from: &Self, from_place: usize) {
        add_number(&mut self.0, place, &from.0, from_place);
    }

    fn resident_bytes(&self) -> usize {
        self.0.capacity() * size_of::<i128>()
    }
}

/// One float per row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Floats(pub(crate) Vec<f64>);

impl Columns for Floats {
    const CHUNK_ROWS: usize = 256;

    fn push(&mut self) {
        self.0.push(0.0);
    }

    fn merge(&mut self, place: usize, from: &Self, from_place: usize) {
        add_number(&mut self.0, place, &from.0, from_place);
    }

    fn resident_bytes(&self) -> usize {
        self.0.capacity() * size_of::<f64>()
    }
}

fn add_number<N: Copy + std::ops::AddAssign>(
    column: &mut [N],
    place: usize,
    from: &[N],
    from_place: usize,
) {
    if let (Some(slot), Some(number)) = (column.get_mut(place), from.get(from_place)) {
        *slot += *number;
    }
}

impl Table<Floats> {
    /// Adds a row with its value.
    pub(crate) fn push_value(&mut self, names: &[&str], values: &[&str], value: f64) {
        let row = self.push(names, values, 0);
        self.change(row, |chunk, place| {
            if let Some(slot) = chunk.columns.0.get_mut(place) {
                *slot = value;
            }
        });
    }
}

impl Table<Amounts> {
    /// Adds to a row.
    pub(crate) fn add(&mut self, row: u32, units: i128) {
        self.change(row, |chunk, place| {
            if let Some(slot) = chunk.columns.0.get_mut(place) {
                *slot += units;
            }
        });
    }

    /// The amount of a row; 0 if there is no such row.
    pub(crate) fn amount(&self, row: u32) -> i128 {
        let found = self.row(row);
        found.map_or(0, |(chunk, place)| {
            chunk.columns.0.get(place).copied().unwrap_or(0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_keeps_its_figures_and_shares_what_did_not_change() {
        let mut table = Table::<Amounts>::default();
        for row in 0..200 {
            table.push(&["row"], &[&row.to_string()], 0);
        }
        let before = table.clone();
        table.add(70, 5);
        assert_eq!((before.amount(70), table.amount(70)), (0, 5));
        let shared: Vec<bool> = before
            .chunks()
            .iter()
            .zip(table.chunks())
            .map(|(before, after)| Arc::ptr_eq(before, after))
            .collect();
        assert_eq!(shared, [true, false, true, true]);
        // Labels are shared even by a chunk that was copied.
        let labels = |table: &Table<Amounts>| Arc::clone(&table.chunks()[1].labels);
        assert!(Arc::ptr_eq(&labels(&before), &labels(&table)));
    }
}
