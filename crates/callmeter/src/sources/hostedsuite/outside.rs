//! Calls that the server lists under a day although they start far from it. They do not count, so
//! that the day may miss calls, unless the server ignores the dates of requests: such a server
//! lists the same calls under every day.

use std::collections::{BTreeMap, BTreeSet};

use callmeter_journal::Classification;
use jiff::civil::Date;

use super::tail::TailRow;

/// Enough to compare days by: two days with the same calls have the same smallest hashes.
const KEPT: usize = 16;

/// Such calls of one reading.
#[derive(Debug, Clone, Default)]
pub(super) struct OutsideRows {
    rows: u64,
    /// The smallest hashes of their ids.
    ids: BTreeSet<u64>,
}

/// Such calls of the last reading of each day.
#[derive(Debug, Default)]
pub(super) struct OutsideDays(BTreeMap<Date, OutsideRows>);

impl OutsideRows {
    /// Adds those of a page.
    pub(super) fn add(&mut self, rows: &[TailRow]) {
        for row in rows {
            if matches!(row.classification, Classification::OutsideWindow) {
                self.rows += 1;
                self.ids.insert(row.id);
            }
        }
        while self.ids.len() > KEPT {
            self.ids.pop_last();
        }
    }

    /// How many calls they are. A list that repeats rows may have many rows of a call.
    pub(super) fn calls(&self) -> u64 {
        match self.ids.len() {
            KEPT => self.rows,
            few => few as u64,
        }
    }
}

impl OutsideDays {
    /// Notes those of a reading that ended. True if they belong to this day, as far as is known: no
    /// other day lists them.
    pub(super) fn are_of_day(&mut self, date: Date, rows: OutsideRows) -> bool {
        let has_rows = rows.calls() > 0;
        let mut others = self.0.iter().filter(|(day, _)| **day != date);
        let is_shared = others.any(|(_, other)| !other.ids.is_disjoint(&rows.ids));
        self.0.insert(date, rows);
        has_rows && !is_shared
    }

    /// Forgets days.
    pub(super) fn retain(&mut self, is_kept: impl Fn(Date) -> bool) {
        self.0.retain(|date, _| is_kept(*date));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(ids: std::ops::Range<u64>) -> OutsideRows {
        let rows: Vec<TailRow> = ids
            .map(|id| TailRow {
                id,
                start: Some(0),
                classification: Classification::OutsideWindow,
                waiting: None,
            })
            .collect();
        let mut outside = OutsideRows::default();
        outside.add(&rows);
        outside
    }

    fn day(day: i8) -> Date {
        jiff::civil::date(2026, 8, day)
    }

    #[test]
    fn calls_of_one_day_are_missing_there() {
        let mut days = OutsideDays::default();
        assert!(!days.are_of_day(day(1), rows(0..0)));
        assert!(days.are_of_day(day(2), rows(7..8)));
        assert!(
            days.are_of_day(day(2), rows(7..8)),
            "the same reading again"
        );
        assert!(days.are_of_day(day(3), rows(8..9)), "another call");
    }

    #[test]
    fn calls_that_every_day_lists_are_of_none() {
        let mut days = OutsideDays::default();
        assert!(days.are_of_day(day(1), rows(5..100_000)));
        // Rows that the list gained or lost in between do not matter.
        assert!(!days.are_of_day(day(2), rows(6..100_003)));
        assert!(!days.are_of_day(day(1), rows(5..100_000)));
        days.retain(|date| date == day(1));
        assert!(days.are_of_day(day(1), rows(5..100_000)));
    }
}
