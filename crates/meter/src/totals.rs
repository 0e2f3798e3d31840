//! The totals of one account: which series a call belongs to, and what it adds to them.

use std::collections::{BTreeMap, HashMap};

use callmeter_records::{CallField, Change, Direction};

use crate::call::{Call, Count, EXPECTED_DIRECTIONS, FOLDED_ID};
use crate::family::FamilyId;
use crate::table::{Amounts, CallCounts, CallTimes, Table};

/// The totals of one account's rows.
///
/// Updates are pure: the same rows in the same order give the same totals, which is what makes replay exact. Series that are shown
/// at 0 because their client is known play no part in that: they take no share of the caps and are not written to the snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountTotals {
    pub(crate) name: String,
    clients: HashMap<Box<str>, ClientRows>,
    pub(crate) counts: Group<CallCounts>,
    pub(crate) times: Group<CallTimes>,
    pub(crate) missing: Keyed<CallField>,
    pub(crate) corrected_times: Keyed<(Box<str>, Direction, CallField)>,
    pub(crate) corrected_counts: Keyed<(Box<str>, Box<str>, Direction, Count)>,
    pub(crate) rates_changed: Keyed<(Box<str>, Box<str>)>,
    pub(crate) revised: u64,
    pub(crate) without_id: u64,
    /// When the first record was read, in microseconds since 1970: when counting began.
    pub(crate) begun: Option<i64>,
    /// Start of the latest call, in microseconds since 1970.
    pub(crate) last_event: Option<i64>,
    pub(crate) folded: Folded,
}

/// Updates that went to `client_id="other"`, by the group of families that share labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Folded {
    pub(crate) counts: u64,
    pub(crate) times: u64,
    pub(crate) corrected_times: u64,
    pub(crate) corrected_counts: u64,
    pub(crate) rates_changed: u64,
}

/// A table whose families share their labels, with the number of its rows that hold figures.
#[derive(Clone, Debug)]
pub(crate) struct Group<C> {
    pub(crate) table: Table<C>,
    /// Which rows were ever counted in, by row.
    used: Vec<bool>,
    used_rows: usize,
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

/// A small table found by key.
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

/// The rows of one client.
#[derive(Clone, Debug, Default)]
struct ClientRows {
    counts: Vec<CenterRows>,
    times: [Option<u32>; 5],
}

#[derive(Clone, Debug)]
struct CenterRows {
    center: Box<str>,
    rows: [Option<u32>; 5],
}

impl ClientRows {
    fn counts_of(&self, center: &str, direction: Direction) -> Option<u32> {
        let found = self.counts.iter().find(|rows| &*rows.center == center)?;
        found.rows.get(direction as usize).copied().flatten()
    }

    fn times_of(&self, direction: Direction) -> Option<u32> {
        self.times.get(direction as usize).copied().flatten()
    }
}

const COUNTS_LABELS: [&str; 4] = ["account", "client_id", "center_id", "direction"];
const TIMES_LABELS: [&str; 3] = ["account", "client_id", "direction"];

impl AccountTotals {
    pub(crate) fn new(name: &str) -> Self {
        let mut totals = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        // Known series start at 0.
        for field in CallField::ALL {
            totals.miss(field, 0);
        }
        totals
    }

    /// Counts a call that is seen for the first time.
    pub(crate) fn count(&mut self, call: &Call<'_>, observed_at: i64, cap: usize) {
        let known = self.clients.get(call.client);
        let (counts, times) = known.map_or((None, None), |rows| {
            (
                rows.counts_of(call.center, call.direction),
                rows.times_of(call.direction),
            )
        });
        let counts = match counts.filter(|row| self.counts.is_used(*row)) {
            Some(row) => row,
            None => self.counts_row(call.client, call.center, call.direction, observed_at, cap),
        };
        self.counts.table.change(counts, |chunk, place| {
            for (column, count) in chunk.columns.columns.iter_mut().zip(Count::ALL) {
                if let Some(slot) = column.get_mut(place) {
                    *slot += u64::from(call.is(count));
                }
            }
        });
        let times = match times.filter(|row| self.times.is_used(*row)) {
            Some(row) => row,
            None => self.times_row(call.client, call.direction, observed_at, cap),
        };
        self.times.table.change(times, |chunk, place| {
            for (column, time) in chunk.columns.columns.iter_mut().zip(call.times) {
                if let Some(time) = time {
                    column.observe(place, time);
                }
            }
        });
        for (field, time) in CallField::ALL.into_iter().zip(call.times) {
            if time.is_none() {
                self.miss(field, 1);
            }
        }
    }

    /// Counts an edit of a call that was counted as `before`.
    ///
    /// What was unknown and is known now is counted like a new value. Any other difference is a correction, so that no counter falls.
    pub(crate) fn revise(
        &mut self,
        before: &Call<'_>,
        after: &Call<'_>,
        observed_at: i64,
        cap: usize,
    ) {
        self.revised += 1;
        self.revise_counts(before, after, observed_at, cap);
        let moved = (before.client, before.direction) != (after.client, after.direction);
        for (place, field) in CallField::ALL.into_iter().enumerate() {
            let time = |call: &Call<'_>| call.times.get(place).copied().flatten();
            match (time(before), time(after)) {
                (None, Some(now)) => {
                    let row = self.times_row(after.client, after.direction, observed_at, cap);
                    self.observe(row, field, now);
                }
                (Some(then), now) if moved || now != Some(then) => {
                    self.correct_time(before, field, -i128::from(then), cap);
                    match now {
                        Some(now) => self.correct_time(after, field, i128::from(now), cap),
                        None => self.miss(field, 1),
                    }
                }
                (None, None) | (Some(_), _) => {}
            }
        }
    }

    fn revise_counts(&mut self, before: &Call<'_>, after: &Call<'_>, observed_at: i64, cap: usize) {
        let moved = (before.client, before.center, before.direction)
            != (after.client, after.center, after.direction);
        for count in Count::ALL {
            match (before.is(count), after.is(count)) {
                (true, true) if moved => {
                    self.correct_count(before, count, -1, cap);
                    self.correct_count(after, count, 1, cap);
                }
                (true, false) => self.correct_count(before, count, -1, cap),
                (false, true) => {
                    let (client, center) = (after.client, after.center);
                    let row = self.counts_row(client, center, after.direction, observed_at, cap);
                    self.add_count(row, count, 1);
                }
                (true, true) | (false, false) => {}
            }
        }
    }

    /// Shows the series of a client at 0 before its first call.
    pub(crate) fn know(&mut self, client: &str, center: Option<&str>, now: i64, cap: usize) {
        if self.counts.table.rows().max(self.times.table.rows()) >= cap.saturating_mul(2) {
            return;
        }
        if let Some(center) = center {
            self.expect_counts(client, center, now);
        }
        let name = &self.name;
        let rows = self.clients.entry(client.into()).or_default();
        let direction = Direction::Incoming;
        if let Some(row @ None) = rows.times.get_mut(direction as usize) {
            let values = [name.as_str(), client, direction.as_str()];
            *row = Some(self.times.push(&TIMES_LABELS, &values, now));
        }
    }

    /// Makes the rows of the expected directions of a client at a center.
    fn expect_counts(&mut self, client: &str, center: &str, created: i64) {
        for direction in EXPECTED_DIRECTIONS {
            self.find_or_push_counts(client, center, direction, created);
        }
    }

    fn find_counts(&self, client: &str, center: &str, direction: Direction) -> Option<u32> {
        self.clients.get(client)?.counts_of(center, direction)
    }

    fn find_or_push_counts(
        &mut self,
        client: &str,
        center: &str,
        direction: Direction,
        created: i64,
    ) -> u32 {
        if let Some(row) = self.find_counts(client, center, direction) {
            return row;
        }
        let values = [self.name.as_str(), client, center, direction.as_str()];
        let row = self.counts.push(&COUNTS_LABELS, &values, created);
        let rows = self.clients.entry(client.into()).or_default();
        let found = rows.counts.iter().position(|rows| &*rows.center == center);
        let at = found.unwrap_or_else(|| {
            rows.counts.push(CenterRows {
                center: center.into(),
                rows: [None; 5],
            });
            rows.counts.len() - 1
        });
        if let Some(slot) = rows
            .counts
            .get_mut(at)
            .and_then(|center| center.rows.get_mut(direction as usize))
        {
            *slot = Some(row);
        }
        row
    }

    /// The row to count a call in, which is that of the folded client when the cap is reached.
    pub(crate) fn counts_row(
        &mut self,
        client: &str,
        center: &str,
        direction: Direction,
        observed_at: i64,
        cap: usize,
    ) -> u32 {
        let found = self.find_counts(client, center, direction);
        if let Some(row) = found.filter(|row| self.counts.is_used(*row)) {
            return row;
        }
        let folds = self.counts.used_rows >= cap && client != FOLDED_ID;
        let (client, center) = if folds {
            self.folded.counts += 1;
            (FOLDED_ID, FOLDED_ID)
        } else {
            (client, center)
        };
        let row = self.find_or_push_counts(client, center, direction, observed_at);
        self.counts.mark_used(row, observed_at);
        if !folds {
            self.expect_counts(client, center, observed_at);
        }
        row
    }

    /// The row to observe a call's times in.
    pub(crate) fn times_row(
        &mut self,
        client: &str,
        direction: Direction,
        observed_at: i64,
        cap: usize,
    ) -> u32 {
        let of_client = |clients: &HashMap<Box<str>, ClientRows>, client: &str| {
            clients.get(client)?.times_of(direction)
        };
        let found = of_client(&self.clients, client);
        if let Some(row) = found.filter(|row| self.times.is_used(*row)) {
            return row;
        }
        let client = if self.times.used_rows >= cap && client != FOLDED_ID {
            self.folded.times += 1;
            FOLDED_ID
        } else {
            client
        };
        let row = of_client(&self.clients, client).unwrap_or_else(|| {
            let values = [self.name.as_str(), client, direction.as_str()];
            let row = self.times.push(&TIMES_LABELS, &values, observed_at);
            let rows = self.clients.entry(client.into()).or_default();
            if let Some(slot) = rows.times.get_mut(direction as usize) {
                *slot = Some(row);
            }
            row
        });
        self.times.mark_used(row, observed_at);
        row
    }

    pub(crate) fn add_count(&mut self, row: u32, count: Count, calls: u64) {
        self.counts.table.change(row, |chunk, place| {
            let column = chunk.columns.columns.get_mut(count as usize);
            if let Some(slot) = column.and_then(|column| column.get_mut(place)) {
                *slot += calls;
            }
        });
    }

    fn observe(&mut self, row: u32, field: CallField, milliseconds: i64) {
        self.times.table.change(row, |chunk, place| {
            if let Some(column) = chunk.columns.columns.get_mut(field.index()) {
                column.observe(place, milliseconds);
            }
        });
    }

    pub(crate) fn miss(&mut self, field: CallField, values: u64) {
        let labels = [self.name.as_str(), field.name()];
        let family = FamilyId::CallValuesMissing;
        self.missing
            .add(&field, family, &labels, self.begun, values.into());
    }

    fn correct_time(&mut self, call: &Call<'_>, field: CallField, milliseconds: i128, cap: usize) {
        let key = (Box::from(call.client), call.direction, field);
        let key = self.corrected_times.within(cap, key, || {
            self.folded.corrected_times += 1;
            (Box::from(FOLDED_ID), call.direction, field)
        });
        self.add_time_correction(&key, milliseconds);
    }

    pub(crate) fn add_time_correction(
        &mut self,
        key: &(Box<str>, Direction, CallField),
        milliseconds: i128,
    ) {
        let labels = [&self.name, &*key.0, key.1.as_str(), key.2.name()];
        let family = FamilyId::CallCorrectionsSeconds;
        self.corrected_times
            .add(key, family, &labels, None, milliseconds);
    }

    fn correct_count(&mut self, call: &Call<'_>, count: Count, calls: i128, cap: usize) {
        let key = (
            call.client.into(),
            call.center.into(),
            call.direction,
            count,
        );
        let key = self.corrected_counts.within(cap, key, || {
            self.folded.corrected_counts += 1;
            (FOLDED_ID.into(), FOLDED_ID.into(), call.direction, count)
        });
        self.add_count_correction(&key, calls);
    }

    pub(crate) fn add_count_correction(
        &mut self,
        key: &(Box<str>, Box<str>, Direction, Count),
        calls: i128,
    ) {
        let labels = [&self.name, &*key.0, &*key.1, key.2.as_str(), key.3.label()];
        let family = FamilyId::CallCorrectionsCalls;
        self.corrected_counts.add(key, family, &labels, None, calls);
    }

    /// Counts a change of a call rate. The type's other changes show at 0 with its first one.
    pub(crate) fn rate_changed(&mut self, rate_type: &str, change: Change, cap: usize) {
        let label = if self.rates_changed.rows.len() >= cap && !self.has_rates(rate_type) {
            self.folded.rates_changed += 1;
            FOLDED_ID
        } else {
            rate_type
        };
        for other in [Change::New, Change::Revised, Change::Removed] {
            let key = (label.into(), other.as_str().into());
            self.add_rate_change(&key, i128::from(other == change));
        }
    }

    fn has_rates(&self, rate_type: &str) -> bool {
        let key = (rate_type.into(), Change::New.as_str().into());
        self.rates_changed.rows.contains_key(&key)
    }

    pub(crate) fn add_rate_change(&mut self, key: &(Box<str>, Box<str>), changes: i128) {
        let labels = [&self.name, &*key.0, &*key.1];
        let family = FamilyId::CallRatesChanged;
        let begun = self.begun;
        self.rates_changed.add(key, family, &labels, begun, changes);
    }

    /// Whether any record was counted.
    pub(crate) fn has_records(&self) -> bool {
        self.counts.used_rows > 0
            || self.times.used_rows > 0
            || !self.corrected_times.rows.is_empty()
            || !self.corrected_counts.rows.is_empty()
            || !self.rates_changed.rows.is_empty()
            || self.revised > 0
            || self.without_id > 0
            || self.last_event.is_some()
            || self.begun.is_some()
    }

    /// Notes that a record is counted which was read at `observed_at`: with the first one, counting began.
    pub(crate) fn begin(&mut self, observed_at: i64) {
        if self.begun.is_none() {
            self.set_begun(Some(observed_at));
        }
    }

    pub(crate) fn set_begun(&mut self, begun: Option<i64>) {
        self.begun = begun;
        for row in self.missing.rows.values() {
            self.missing.table.change(*row, |chunk, place| {
                if let Some(created) = chunk.created.get_mut(place) {
                    *created = begun.unwrap_or(0);
                }
            });
        }
    }

    /// Remembers when the latest call started.
    pub(crate) fn saw_event(&mut self, start: Option<i64>) {
        self.last_event = self.last_event.max(start);
    }

    /// The rows of the calls counters that hold figures, sorted by their labels.
    pub(crate) fn used_counts(&self) -> Vec<((&str, &str, Direction), u32)> {
        let mut found = Vec::with_capacity(self.counts.used_rows);
        for (client, rows) in &self.clients {
            for center in &rows.counts {
                for (direction, row) in Direction::ALL.into_iter().zip(center.rows) {
                    if let Some(row) = row.filter(|row| self.counts.is_used(*row)) {
                        found.push(((&**client, &*center.center, direction), row));
                    }
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// The rows of the histograms that hold figures, sorted by their labels.
    pub(crate) fn used_times(&self) -> Vec<((&str, Direction), u32)> {
        let mut found = Vec::with_capacity(self.times.used_rows);
        for (client, rows) in &self.clients {
            for (direction, row) in Direction::ALL.into_iter().zip(rows.times) {
                if let Some(row) = row.filter(|row| self.times.is_used(*row)) {
                    found.push(((&**client, direction), row));
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// Bytes of memory for the index of clients, near enough.
    pub(crate) fn index_bytes(&self) -> usize {
        let rows: usize = self
            .clients
            .iter()
            .map(|(client, rows)| {
                let centers = rows.counts.iter().map(|center| center.center.len());
                client.len()
                    + centers.sum::<usize>()
                    + rows.counts.capacity() * size_of::<CenterRows>()
            })
            .sum();
        rows + self.clients.capacity() * (size_of::<(Box<str>, ClientRows)>() + 1)
            + self.counts.used.capacity()
            + self.times.used.capacity()
    }
}

impl<C: crate::table::Columns> Group<C> {
    fn push(&mut self, names: &[&str], values: &[&str], created: i64) -> u32 {
        self.used.push(false);
        self.table.push(names, values, created)
    }

    fn is_used(&self, row: u32) -> bool {
        self.used.get(row as usize).copied().unwrap_or(false)
    }

    /// Notes that a row is counted in. Its counting began with the record that does so, also where the row was shown at 0 before:
    /// a replay of the records must come to the same time.
    fn mark_used(&mut self, row: u32, observed_at: i64) {
        if let Some(used @ false) = self.used.get_mut(row as usize) {
            *used = true;
            self.used_rows += 1;
            self.table.change(row, |chunk, place| {
                if let Some(created) = chunk.created.get_mut(place) {
                    *created = observed_at;
                }
            });
        }
    }
}

impl<K: Ord + Clone> Keyed<K> {
    /// The key, or the one to fold it into when it is new and the cap is reached.
    fn within(&self, cap: usize, key: K, fold: impl FnOnce() -> K) -> K {
        if self.rows.len() >= cap && !self.rows.contains_key(&key) {
            fold()
        } else {
            key
        }
    }

    fn add(&mut self, key: &K, family: FamilyId, values: &[&str], begun: Option<i64>, units: i128) {
        let found = self.rows.get(key).copied();
        let row = found.unwrap_or_else(|| {
            let names = family.family().labels;
            let row = self.table.push(names, values, begun.unwrap_or(0));
            self.rows.insert(key.clone(), row);
            row
        });
        self.table.add(row, units);
    }
}
