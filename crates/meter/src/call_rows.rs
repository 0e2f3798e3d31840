//! The series of calls: a row for each client, center and direction, and what is shown of them:
//! sums by client, and figures by center and direction.
//!
//! The sums are made of the rows, so they are not encoded: a start adds the rows up again.
//!
//! A center whose calls in a direction are all in one row has the figures of that row. Then the
//! histograms are kept only once, with the center. The row gets its own when another row of the
//! center comes, or when a view shows the histograms of clients.

use std::collections::{BTreeMap, HashMap};

use callmeter_records::Direction;

use crate::bucket_of::Observation;
use crate::counted_call::{CallTime, Count, CountedCall, EXPECTED_DIRECTIONS};
use crate::recent_centers::RecentCenters;
use crate::series_tables::Group;
use crate::table::{CallCounts, CallTimes, CenterFigures, ClientSums, Columns as _, Table};
use crate::text_hash::TextHash;

const ROW_LABELS: [&str; 4] = ["account", "client_id", "center_id", "direction"];
const CLIENT_LABELS: [&str; 2] = ["account", "client_id"];
const CENTER_LABELS: [&str; 3] = ["account", "center_id", "direction"];

/// The rows of an account's calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallRows {
    account: String,
    index: HashMap<Box<str>, ClientRows, TextHash>,
    center_index: BTreeMap<(Box<str>, Direction), u32>,
    parts: Vec<Parts>,
    /// By rows of `centers`.
    rows_of_centers: Vec<RowsOfCenter>,
    /// Whether each row has histograms of its own.
    each_has_times: bool,
    /// The `sequence` of the call that was counted first in each row.
    since: Vec<i64>,
    pub(crate) counts: Group<CallCounts>,
    /// The histograms of the rows that have their own.
    pub(crate) times: Table<CallTimes>,
    pub(crate) clients: Group<ClientSums>,
    pub(crate) centers: Group<CenterFigures>,
    /// Part of the figures of `centers`, until [`move_recent`](Self::move_recent).
    recent: RecentCenters,
}

/// Where the other figures of a row are.
#[derive(Clone, Copy, Debug)]
struct Parts {
    /// The row of `clients` that it is part of.
    client: u32,
    /// The row of `centers` that it is part of.
    center: u32,
    /// Its row of `times`. Without one, its histograms are those of its center.
    times: Option<u32>,
}

/// The rows that a row of centers is the sum of.
#[derive(Clone, Copy, Debug)]
enum RowsOfCenter {
    None,
    Only(u32),
    /// Each of them has its own histograms.
    Many,
}

/// The rows of one client.
#[derive(Clone, Debug)]
struct ClientRows {
    /// Its row in `clients`.
    sums: u32,
    centers: Vec<CenterRows>,
}

/// The rows of one client at one center, by direction.
#[derive(Clone, Debug)]
struct CenterRows {
    center: Box<str>,
    rows: [Option<u32>; 5],
}

impl CallRows {
    pub(crate) fn new(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            ..Self::default()
        }
    }

    /// The row of these labels, if it exists.
    pub(crate) fn find(&self, client: &str, center: &str, direction: Direction) -> Option<u32> {
        let centers = &self.index.get(client)?.centers;
        let found = centers.iter().find(|rows| &*rows.center == center)?;
        found.rows.get(direction as usize).copied().flatten()
    }

    /// The row of these labels. A new one is at 0.
    pub(crate) fn find_or_push(
        &mut self,
        client: &str,
        center: &str,
        direction: Direction,
        created: i64,
    ) -> u32 {
        if let Some(row) = self.find(client, center, direction) {
            return row;
        }
        let sums = self.client(client, created);
        let figures = self.center(center, direction, created);
        let values = [self.account.as_str(), client, center, direction.as_str()];
        let row = self.counts.push(&ROW_LABELS, &values, created);
        self.parts.push(Parts {
            client: sums,
            center: figures,
            times: None,
        });
        self.since.push(i64::MAX);
        self.add_to_center(row, figures);
        if let Some(rows) = self.index.get_mut(client) {
            let found = rows.centers.iter().position(|rows| &*rows.center == center);
            let at = found.unwrap_or_else(|| {
                rows.centers.push(CenterRows {
                    center: center.into(),
                    rows: [None; 5],
                });
                rows.centers.len() - 1
            });
            let slots = rows.centers.get_mut(at).map(|center| &mut center.rows);
            if let Some(slot) = slots.and_then(|rows| rows.get_mut(direction as usize)) {
                *slot = Some(row);
            }
        }
        row
    }

    /// The client's row of sums. A new one is at 0.
    pub(crate) fn client(&mut self, client: &str, created: i64) -> u32 {
        if let Some(rows) = self.index.get(client) {
            return rows.sums;
        }
        let values = [self.account.as_str(), client];
        let sums = self.clients.push(&CLIENT_LABELS, &values, created);
        let centers = Vec::new();
        self.index
            .insert(client.into(), ClientRows { sums, centers });
        sums
    }

    fn center(&mut self, center: &str, direction: Direction, created: i64) -> u32 {
        let key = (Box::from(center), direction);
        if let Some(row) = self.center_index.get(&key) {
            return *row;
        }
        let values = [self.account.as_str(), center, direction.as_str()];
        let row = self.centers.push(&CENTER_LABELS, &values, created);
        self.center_index.insert(key, row);
        row
    }

    /// Adds the rows of a client at a center for the expected directions, at 0.
    pub(crate) fn expect(&mut self, client: &str, center: &str, created: i64) {
        for direction in EXPECTED_DIRECTIONS {
            self.find_or_push(client, center, direction, created);
        }
    }

    fn parts_of(&self, row: u32) -> Parts {
        let none = Parts {
            client: u32::MAX,
            center: u32::MAX,
            times: None,
        };
        self.parts.get(row as usize).copied().unwrap_or(none)
    }

    /// Makes a row a part of a center.
    fn add_to_center(&mut self, row: u32, center: u32) {
        let center = center as usize;
        if center >= self.rows_of_centers.len() {
            self.rows_of_centers.resize(center + 1, RowsOfCenter::None);
        }
        let Some(rows) = self.rows_of_centers.get_mut(center) else {
            return;
        };
        match *rows {
            RowsOfCenter::None if !self.each_has_times => *rows = RowsOfCenter::Only(row),
            RowsOfCenter::None | RowsOfCenter::Many => {
                *rows = RowsOfCenter::Many;
                self.add_times(row);
            }
            RowsOfCenter::Only(other) => {
                *rows = RowsOfCenter::Many;
                self.copy_times(other);
                self.add_times(row);
            }
        }
    }

    /// Gives a row histograms of its own, without observations.
    fn add_times(&mut self, row: u32) -> Option<u32> {
        let parts = self.parts.get_mut(row as usize)?;
        let (chunk, place) = self.counts.table.row(row)?;
        let created = chunk.created.get(place).copied().unwrap_or(0);
        let labels = chunk.labels.row(place);
        let times = self
            .times
            .push_with(created, |block| block.push_text(labels));
        parts.times = Some(times);
        Some(times)
    }

    /// Gives a row histograms of its own, those of its center.
    fn copy_times(&mut self, row: u32) {
        let center = self.parts_of(row).center;
        if let Some(times) = self.add_times(row)
            && let Some((from, from_place)) = self.centers.table.row(center)
        {
            self.times.change(times, |chunk, place| {
                chunk.columns.merge(place, &from.columns.times, from_place);
            });
        }
    }

    /// Gives each row histograms of its own.
    pub(crate) fn add_all_times(&mut self) {
        if self.each_has_times {
            return;
        }
        self.each_has_times = true;
        for rows in std::mem::take(&mut self.rows_of_centers) {
            if let RowsOfCenter::Only(row) = rows {
                self.copy_times(row);
            }
            self.rows_of_centers.push(RowsOfCenter::Many);
        }
    }

    /// The histograms of a row, and its place there.
    pub(crate) fn times_of(&self, row: u32) -> Option<(&CallTimes, usize)> {
        let parts = self.parts_of(row);
        if let Some(times) = parts.times {
            let (chunk, place) = self.times.row(times)?;
            Some((&chunk.columns, place))
        } else {
            let (chunk, place) = self.centers.table.row(parts.center)?;
            Some((&chunk.columns.times, place))
        }
    }

    /// Marks a row and its sums as used, see [`Group::mark_used`].
    /// `since` is the `sequence` of the call that is counted.
    pub(crate) fn mark_used(&mut self, row: u32, observed_at: i64, since: i64) {
        if self.counts.is_used(row) {
            return;
        }
        if let Some(first) = self.since.get_mut(row as usize) {
            *first = since;
        }
        self.counts.mark_used(row, observed_at);
        let parts = self.parts_of(row);
        if let Some(times) = parts.times {
            self.times.set_created(times, observed_at);
        }
        self.clients.mark_used(parts.client, observed_at);
        self.centers.mark_used(parts.center, observed_at);
    }

    /// Notes that a call is counted in a row that is in use.
    pub(crate) fn note_since(&mut self, row: u32, sequence: i64) {
        if let Some(first) = self.since.get_mut(row as usize) {
            *first = sequence.min(*first);
        }
    }

    /// The `sequence` of the call that was counted first in a row. Calls of its labels that were
    /// counted before were folded.
    pub(crate) fn since(&self, row: u32) -> i64 {
        self.since.get(row as usize).copied().unwrap_or(i64::MAX)
    }

    /// Counts a call in a row.
    pub(crate) fn count(&mut self, row: u32, call: &CountedCall<'_>) {
        let parts = self.parts_of(row);
        let (counters, observed) = (call.counters(), call.observations());
        self.counts.table.change(row, |chunk, place| {
            count_in(&mut chunk.columns, place, counters);
        });
        if let Some(times) = parts.times {
            self.times.change(times, |chunk, place| {
                observe_in(&mut chunk.columns, place, &observed);
            });
        }
        let is_recent =
            parts.times.is_some() && self.recent.count(parts.center, counters, &observed);
        if !is_recent {
            self.centers.table.change(parts.center, |chunk, place| {
                count_in(&mut chunk.columns.counts, place, counters);
                observe_in(&mut chunk.columns.times, place, &observed);
            });
        }
        self.clients.table.change(parts.client, |chunk, place| {
            for (column, time) in chunk.columns.columns.iter_mut().zip(call.times) {
                if let (Some(slot), Some(time)) = (column.get_mut(place), time) {
                    *slot += i128::from(time);
                }
            }
        });
    }

    /// Brings the figures of centers up to date. Call it before they are read.
    pub(crate) fn move_recent(&mut self) {
        self.recent.move_to(&mut self.centers.table);
    }

    /// Adds to a counter of a row.
    pub(crate) fn add_count(&mut self, row: u32, count: Count, calls: u64) {
        let center = self.parts_of(row).center;
        self.counts.table.change(row, |chunk, place| {
            add_to(&mut chunk.columns, place, count, calls);
        });
        self.centers.table.change(center, |chunk, place| {
            add_to(&mut chunk.columns.counts, place, count, calls);
        });
    }

    /// Observes a time in a row.
    pub(crate) fn observe(&mut self, row: u32, time: CallTime, milliseconds: i64) {
        let mut one = Table::<CallTimes>::default();
        one.push(&[], &[], 0);
        one.change(0, |chunk, place| {
            if let Some(column) = chunk.columns.columns.get_mut(time.index()) {
                column.observe(place, &Observation::of(milliseconds));
            }
        });
        if let Some((chunk, place)) = one.row(0) {
            self.merge_times(row, &chunk.columns, place);
        }
    }

    /// Adds the histograms of a row of other times.
    pub(crate) fn merge_times(&mut self, row: u32, from: &CallTimes, from_place: usize) {
        let parts = self.parts_of(row);
        if let Some(times) = parts.times {
            self.times.change(times, |chunk, place| {
                chunk.columns.merge(place, from, from_place);
            });
        }
        self.centers.table.change(parts.center, |chunk, place| {
            chunk.columns.times.merge(place, from, from_place);
        });
        self.clients.table.change(parts.client, |chunk, place| {
            for (column, from) in chunk.columns.columns.iter_mut().zip(&from.columns) {
                let sum = from.row(from_place).map_or(0, |row| row.sum_ms);
                if let Some(slot) = column.get_mut(place) {
                    *slot += sum;
                }
            }
        });
    }

    /// The center of a client, if it has exactly one.
    pub(crate) fn only_center(&self, client: &str) -> Option<&str> {
        match self.index.get(client)?.centers.as_slice() {
            [only] => Some(&only.center),
            _ => None,
        }
    }

    /// The rows in use, sorted by their labels.
    pub(crate) fn used(&self) -> Vec<((&str, &str, Direction), u32)> {
        let mut found = Vec::with_capacity(self.counts.used_rows);
        for (client, rows) in &self.index {
            for center in &rows.centers {
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

    /// Approximate memory of the tables and their index, and the share of label text, in bytes.
    pub(crate) fn resident_bytes(&self) -> (usize, usize) {
        let clients = self.index.iter().map(|(client, rows)| {
            let centers = rows.centers.iter().map(|center| center.center.len());
            client.len()
                + centers.sum::<usize>()
                + rows.centers.capacity() * size_of::<CenterRows>()
        });
        let index = clients.sum::<usize>()
            + self.index.capacity() * (size_of::<(Box<str>, ClientRows)>() + 1)
            + self.parts.capacity() * size_of::<Parts>()
            + self.rows_of_centers.capacity() * size_of::<RowsOfCenter>()
            + self.since.capacity() * size_of::<i64>()
            + self.counts.used.capacity()
            + self.clients.used.capacity()
            + self.recent.resident_bytes();
        let tables = self.counts.table.resident_bytes()
            + self.times.resident_bytes()
            + self.clients.table.resident_bytes()
            + self.centers.table.resident_bytes();
        let text = self.counts.table.label_bytes()
            + self.times.label_bytes()
            + self.clients.table.label_bytes()
            + self.centers.table.label_bytes();
        (index + tables, text)
    }
}

fn count_in(counts: &mut CallCounts, place: usize, counters: [u64; Count::COUNTERS]) {
    for (column, calls) in counts.columns.iter_mut().zip(counters) {
        if let Some(slot) = column.get_mut(place) {
            *slot += calls;
        }
    }
}

fn observe_in(
    times: &mut CallTimes,
    place: usize,
    observed: &[Option<Observation>; CallTime::ALL.len()],
) {
    for (column, observation) in times.columns.iter_mut().zip(observed) {
        if let Some(observation) = observation {
            column.observe(place, observation);
        }
    }
}

fn add_to(counts: &mut CallCounts, place: usize, count: Count, calls: u64) {
    let column = counts.columns.get_mut(count as usize);
    if let Some(slot) = column.and_then(|column| column.get_mut(place)) {
        *slot += calls;
    }
}
