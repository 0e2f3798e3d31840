//! Tables of series that are found by their labels: [`Group`] for calls, [`Keyed`] for amounts.

use std::collections::BTreeMap;

use crate::families::FamilyId;
use crate::table::{Amounts, Columns, Table};

/// A table whose families share their labels, with the number of rows in use.
#[derive(Clone, Debug)]
pub(crate) struct Group<C> {
    pub(crate) table: Table<C>,
    /// Whether anything was counted in a row. The others are shown at 0.
    pub(crate) used: Vec<bool>,
    pub(crate) used_rows: usize,
}

impl<C> Default for Group<C> {
    fn default() -> Self {
        Self {
            table: Table::default(),
            used: Vec::new(),
            used_rows: 0,
        }
    }
}

/// A table of amounts that is found by key.
#[derive(Clone, Debug)]
pub(crate) struct Keyed<K> {
    pub(crate) table: Table<Amounts>,
    pub(crate) rows: BTreeMap<K, u32>,
}

impl<K> Default for Keyed<K> {
    fn default() -> Self {
        Self {
            table: Table::default(),
            rows: BTreeMap::new(),
        }
    }
}

impl<C: Columns> Group<C> {
    pub(crate) fn push(&mut self, names: &[&str], values: &[&str], created: i64) -> u32 {
        self.used.push(false);
        self.table.push(names, values, created)
    }

    pub(crate) fn is_used(&self, row: u32) -> bool {
        self.used.get(row as usize).copied().unwrap_or(false)
    }

    /// Marks a row as used. Its start time is that of the record counted first, even if the row was
    /// shown at 0 before: a replay of the records must give the same time.
    pub(crate) fn mark_used(&mut self, row: u32, observed_at: i64) {
        if let Some(used @ false) = self.used.get_mut(row as usize) {
            *used = true;
            self.used_rows += 1;
            self.table.set_created(row, observed_at);
        }
    }
}

impl<K: Ord + Clone> Keyed<K> {
    pub(crate) fn add(
        &mut self,
        key: &K,
        family: FamilyId,
        values: &[&str],
        since: Option<i64>,
        units: i128,
    ) {
        let found = self.rows.get(key).copied();
        let row = found.unwrap_or_else(|| {
            let names = family.family().labels;
            let row = self.table.push(names, values, since.unwrap_or(0));
            self.rows.insert(key.clone(), row);
            row
        });
        self.table.add(row, units);
    }
}
