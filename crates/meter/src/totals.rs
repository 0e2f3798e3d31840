//! The totals of one account: the series of a call, and what the call adds to them.

use std::collections::HashMap;

use callmeter_records::charges::ChargeRow;
use callmeter_records::{CallField, Change, Direction};

use crate::charge_totals::ChargeTotals;
use crate::counted_call::{Count, CountedCall, EXPECTED_DIRECTIONS};
use crate::families::FamilyId;
use crate::folding::{FOLDED_ID, FoldGroup, Folded, Limits};
use crate::series_tables::{Group, Keyed};
use crate::table::{CallCounts, CallTimes};

/// The totals of one account's rows.
///
/// The same rows in the same order give the same totals, so that a replay of the journal is exact.
/// Series shown at 0 for known clients are not part of the totals: they do not count towards the
/// cap and are not encoded.
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
    pub(crate) charges: ChargeTotals,
    pub(crate) revised: u64,
    pub(crate) without_id: u64,
    /// When the first counted record was read, in microseconds since 1970.
    pub(crate) counting_since: Option<i64>,
    /// Start of the latest call, in microseconds since 1970.
    pub(crate) last_event: Option<i64>,
    pub(crate) folded: Folded,
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
        // These series are known in advance: show them at 0.
        for field in CallField::ALL {
            totals.miss(field, 0);
        }
        totals
    }

    /// Counts a call that is seen for the first time.
    pub(crate) fn count(&mut self, call: &CountedCall<'_>, observed_at: i64, limits: Limits) {
        let known = self.clients.get(call.client);
        let (counts, times) = known.map_or((None, None), |rows| {
            (
                rows.counts_of(call.center, call.direction),
                rows.times_of(call.direction),
            )
        });
        let counts = match counts.filter(|row| self.counts.is_used(*row)) {
            Some(row) => row,
            None => self.counts_row(
                call.client,
                call.center,
                call.direction,
                observed_at,
                limits,
            ),
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
            None => self.times_row(call.client, call.direction, observed_at, limits),
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
    /// A duration that was unknown before is counted like a new one. Any other difference is a
    /// correction, so that no counter decreases. A duration that is now unknown stays as it was
    /// counted.
    pub(crate) fn revise(
        &mut self,
        before: &CountedCall<'_>,
        after: &CountedCall<'_>,
        observed_at: i64,
        limits: Limits,
    ) {
        self.revised += 1;
        self.revise_counts(before, after, observed_at, limits);
        let moved = (before.client, before.direction) != (after.client, after.direction);
        for (place, field) in CallField::ALL.into_iter().enumerate() {
            let time = |call: &CountedCall<'_>| call.times.get(place).copied().flatten();
            match (time(before), time(after)) {
                (None, Some(now)) => {
                    let row = self.times_row(after.client, after.direction, observed_at, limits);
                    self.observe(row, field, now);
                }
                (Some(then), Some(now)) if moved || now != then => {
                    self.correct_time(before, field, -i128::from(then), limits);
                    self.correct_time(after, field, i128::from(now), limits);
                }
                (_, None) | (Some(_), Some(_)) => {}
            }
        }
    }

    fn revise_counts(
        &mut self,
        before: &CountedCall<'_>,
        after: &CountedCall<'_>,
        observed_at: i64,
        limits: Limits,
    ) {
        let moved = (before.client, before.center, before.direction)
            != (after.client, after.center, after.direction);
        for count in Count::ALL {
            match (before.is(count), after.is(count)) {
                (true, true) if moved => {
                    self.correct_count(before, count, -1, limits);
                    self.correct_count(after, count, 1, limits);
                }
                (true, false) => self.correct_count(before, count, -1, limits),
                (false, true) => {
                    let (client, center) = (after.client, after.center);
                    let row = self.counts_row(client, center, after.direction, observed_at, limits);
                    self.add_count(row, count, 1);
                }
                (true, true) | (false, false) => {}
            }
        }
    }

    /// Shows the series of a client at 0 before its first call.
    pub(crate) fn know(&mut self, client: &str, center: Option<&str>, now: i64, limits: Limits) {
        if !limits.allows_zeros(self.counts.table.rows().max(self.times.table.rows())) {
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

    /// Adds the rows of a client at a center for the expected directions, at 0.
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

    /// The row to count a call in. A new label set beyond the cap is folded.
    pub(crate) fn counts_row(
        &mut self,
        client: &str,
        center: &str,
        direction: Direction,
        observed_at: i64,
        limits: Limits,
    ) -> u32 {
        let found = self.find_counts(client, center, direction);
        if let Some(row) = found.filter(|row| self.counts.is_used(*row)) {
            return row;
        }
        let used = self.counts.used_rows;
        let folds = self
            .folded
            .folds(FoldGroup::Counts, limits, used, || client == FOLDED_ID);
        let (client, center) = if folds {
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

    /// The row to observe a call's times in. A new label set beyond the cap is folded.
    pub(crate) fn times_row(
        &mut self,
        client: &str,
        direction: Direction,
        observed_at: i64,
        limits: Limits,
    ) -> u32 {
        let of_client = |clients: &HashMap<Box<str>, ClientRows>, client: &str| {
            clients.get(client)?.times_of(direction)
        };
        let found = of_client(&self.clients, client);
        if let Some(row) = found.filter(|row| self.times.is_used(*row)) {
            return row;
        }
        let used = self.times.used_rows;
        let folds = self
            .folded
            .folds(FoldGroup::Times, limits, used, || client == FOLDED_ID);
        let client = if folds { FOLDED_ID } else { client };
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
            .add(&field, family, &labels, self.counting_since, values.into());
    }

    fn correct_time(
        &mut self,
        call: &CountedCall<'_>,
        field: CallField,
        milliseconds: i128,
        limits: Limits,
    ) {
        let mut key = (Box::from(call.client), call.direction, field);
        let rows = &self.corrected_times.rows;
        let is_known = || rows.contains_key(&key);
        if (self.folded).folds(FoldGroup::CorrectedTimes, limits, rows.len(), is_known) {
            key.0 = FOLDED_ID.into();
        }
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

    fn correct_count(&mut self, call: &CountedCall<'_>, count: Count, calls: i128, limits: Limits) {
        let mut key = (
            call.client.into(),
            call.center.into(),
            call.direction,
            count,
        );
        let rows = &self.corrected_counts.rows;
        let is_known = || rows.contains_key(&key);
        if (self.folded).folds(FoldGroup::CorrectedCounts, limits, rows.len(), is_known) {
            (key.0, key.1) = (FOLDED_ID.into(), FOLDED_ID.into());
        }
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

    /// Counts a change of a call rate. The first one of a type also shows the type's other changes
    /// at 0.
    pub(crate) fn rate_changed(&mut self, rate_type: &str, change: Change, limits: Limits) {
        let rows = &self.rates_changed.rows;
        let is_known = || rows.contains_key(&(rate_type.into(), Change::New.as_str().into()));
        let folds = (self.folded).folds(FoldGroup::RateChanges, limits, rows.len(), is_known);
        let label = if folds { FOLDED_ID } else { rate_type };
        for other in [Change::New, Change::Revised, Change::Removed] {
            let key = (label.into(), other.as_str().into());
            self.add_rate_change(&key, i128::from(other == change));
        }
    }

    pub(crate) fn add_rate_change(&mut self, key: &(Box<str>, Box<str>), changes: i128) {
        let labels = [&self.name, &*key.0, &*key.1];
        let family = FamilyId::CallRatesChanged;
        let since = self.counting_since;
        self.rates_changed.add(key, family, &labels, since, changes);
    }

    /// Counts a charge.
    pub(crate) fn charge(&mut self, row: &ChargeRow<'_, '_>, limits: Limits) {
        let since = self.counting_since;
        self.charges
            .count(&self.name, row, since, &mut self.folded, limits);
    }

    /// Whether any record was counted.
    pub(crate) fn has_records(&self) -> bool {
        self.counts.used_rows > 0
            || self.times.used_rows > 0
            || !self.corrected_times.rows.is_empty()
            || !self.corrected_counts.rows.is_empty()
            || !self.rates_changed.rows.is_empty()
            || self.charges.has_records()
            || self.revised > 0
            || self.without_id > 0
            || self.last_event.is_some()
            || self.counting_since.is_some()
    }

    /// Sets the time since which records are counted, if this is the first one.
    pub(crate) fn start_counting(&mut self, observed_at: i64) {
        if self.counting_since.is_none() {
            self.set_counting_since(Some(observed_at));
        }
    }

    pub(crate) fn set_counting_since(&mut self, since: Option<i64>) {
        self.counting_since = since;
        for row in self.missing.rows.values() {
            self.missing.table.change(*row, |chunk, place| {
                if let Some(created) = chunk.created.get_mut(place) {
                    *created = since.unwrap_or(0);
                }
            });
        }
    }

    /// Keeps the start of the latest call.
    pub(crate) fn note_start(&mut self, start: Option<i64>) {
        self.last_event = self.last_event.max(start);
    }

    /// The rows of the call counters in use, sorted by their labels.
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

    /// The rows of the histograms in use, sorted by their labels.
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

    /// Approximate memory of the index of clients, in bytes.
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
