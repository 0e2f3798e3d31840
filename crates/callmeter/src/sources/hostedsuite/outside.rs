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

    /// Whether it has the calls of another reading, as far as both are kept.
    fn includes(&self, other: &Self) -> bool {
        let is_kept = |id: &u64| self.ids.len() < KEPT || self.ids.last() >= Some(id);
        other
            .ids
            .iter()
            .filter(|id| is_kept(id))
            .all(|id| self.ids.contains(id))
    }

    /// How many calls they are. A list that repeats rows may have many rows of a call.
    pub(super) fn calls(&self) -> u64 {
        match self.ids.len() {
            KEPT => self.rows,
            few => few as u64,
        }
    }
}

/// Whose such calls are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// There are none.
    None,
    /// Not all days list them: the day misses them.
    ThisDay,
    /// All days list them, so that the server ignores dates.
    AllDays,
    /// These days have to be read before it is clear.
    Unclear { unread: Vec<Date> },
}

impl OutsideDays {
    /// Notes those of a reading that ended; says whose they are. `dates` are the days that are read
    /// from time to time.
    pub(super) fn judge(
        &mut self,
        date: Date,
        rows: OutsideRows,
        dates: impl Iterator<Item = Date>,
    ) -> Whose {
        let has_rows = rows.calls() > 0;
        let mut others = self.0.iter().filter(|(day, _)| **day != date);
        let is_shared = others.all(|(_, other)| other.includes(&rows));
        self.0.insert(date, rows);
        let unread: Vec<Date> = dates.filter(|date| !self.0.contains_key(date)).collect();
        match (has_rows, is_shared) {
            (false, _) => Whose::None,
            (true, false) => Whose::ThisDay,
            (true, true) if unread.is_empty() && self.0.len() > 1 => Whose::AllDays,
            (true, true) => Whose::Unclear { unread },
        }
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

    fn judge(days: &mut OutsideDays, date: Date, ids: std::ops::Range<u64>) -> Whose {
        days.judge(date, rows(ids), (1..=4).map(day))
    }

    #[test]
    fn calls_of_some_days_are_missing_there() {
        let mut days = OutsideDays::default();
        assert_eq!(judge(&mut days, day(1), 0..0), Whose::None);
        assert_eq!(judge(&mut days, day(2), 7..8), Whose::ThisDay);
        assert_eq!(judge(&mut days, day(2), 7..8), Whose::ThisDay);
        assert_eq!(judge(&mut days, day(3), 7..8), Whose::ThisDay);
        assert_eq!(judge(&mut days, day(4), 0..0), Whose::None);
    }

    #[test]
    fn calls_that_every_day_lists_are_of_none() {
        let mut days = OutsideDays::default();
        let unread = vec![day(2), day(3), day(4)];
        assert_eq!(judge(&mut days, day(1), 5..100), Whose::Unclear { unread });
        for (date, unread) in [(2, vec![day(3), day(4)]), (3, vec![day(4)])] {
            assert_eq!(
                judge(&mut days, day(date), 5..100),
                Whose::Unclear { unread }
            );
        }
        // Rows that the list gained in between do not matter.
        assert_eq!(judge(&mut days, day(4), 5..103), Whose::AllDays);
        assert_eq!(judge(&mut days, day(1), 5..103), Whose::AllDays);
        // A call of its own does.
        assert_eq!(judge(&mut days, day(2), 4..103), Whose::ThisDay);
    }

    #[test]
    fn two_days_are_not_all_days() {
        let mut days = OutsideDays::default();
        judge(&mut days, day(1), 7..8);
        let unread = vec![day(3), day(4)];
        assert_eq!(judge(&mut days, day(2), 7..8), Whose::Unclear { unread });
        assert_eq!(judge(&mut days, day(3), 0..0), Whose::None);
        assert_eq!(judge(&mut days, day(2), 7..8), Whose::ThisDay);
        // Unless there are no others.
        let mut days = OutsideDays::default();
        days.judge(day(1), rows(7..8), (1..=2).map(day));
        let whose = days.judge(day(2), rows(7..8), (1..=2).map(day));
        assert_eq!(whose, Whose::AllDays);
    }
}
