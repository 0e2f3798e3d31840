//! The totals of one account: the series of a call, and what the call adds to them.

use callmeter_records::charges::ChargeRow;
use callmeter_records::{CallField, Change, Direction};

use crate::call_rows::CallRows;
use crate::charge_totals::ChargeTotals;
use crate::counted_call::{CallTime, Count, CountedCall};
use crate::families::FamilyId;
use crate::folding::{FOLDED_ID, FoldGroup, Folded, Limits};
use crate::hours::Hours;
use crate::operators::Operators;
use crate::series_tables::Keyed;

/// The totals of one account's rows.
///
/// The same rows in the same order give the same totals, so that a replay of the journal is exact.
/// Series shown at 0 for known clients are not part of the totals: they do not count towards the
/// cap and are not encoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountTotals {
    pub(crate) name: String,
    pub(crate) calls: CallRows,
    pub(crate) missing: Keyed<CallField>,
    pub(crate) corrected_times: Keyed<(Box<str>, Box<str>, Direction, CallTime)>,
    pub(crate) corrected_counts: Keyed<(Box<str>, Box<str>, Direction, Count)>,
    pub(crate) rates_changed: Keyed<(Box<str>, Box<str>)>,
    pub(crate) charges: ChargeTotals,
    pub(crate) operators: Operators,
    pub(crate) hours: Hours,
    pub(crate) revised: u64,
    pub(crate) without_id: u64,
    /// When the first counted record was read, in microseconds since 1970.
    pub(crate) counting_since: Option<i64>,
    /// Start of the latest call, in microseconds since 1970.
    pub(crate) last_event: Option<i64>,
    pub(crate) folded: Folded,
}

impl AccountTotals {
    pub(crate) fn new(name: &str) -> Self {
        let mut totals = Self {
            name: name.to_owned(),
            calls: CallRows::new(name),
            operators: Operators::new(name),
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
        let row = self.row(call, observed_at, limits);
        self.calls.count(row, call);
        if call.times.contains(&None) {
            for (field, time) in CallField::ALL.into_iter().zip(call.times) {
                if time.is_none() {
                    self.miss(field, 1);
                }
            }
        }
        if call.rules.operators {
            let since = self.counting_since;
            self.operators.count(call, since, limits, &mut self.folded);
        }
    }

    /// Counts an edit of a call that was counted as `before`.
    ///
    /// A time that was unknown before is counted like a new one. Any other difference is a
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
        let before = &self.placed(before);
        let row = self.row(after, observed_at, limits);
        let after = &self.placed(after);
        let moved = (before.client, before.center, before.direction)
            != (after.client, after.center, after.direction);
        self.revise_counts(before, after, moved, row);
        for time in CallTime::ALL {
            match (before.time(time), after.time(time)) {
                (None, Some(now)) => self.calls.observe(row, time, now),
                (Some(then), Some(now)) if moved || now != then => {
                    self.correct_time(before, time, -i128::from(then));
                    self.correct_time(after, time, i128::from(now));
                }
                // The ring time is known, but it is no longer one of this kind.
                (Some(then), None) if after.time(CallTime::Field(CallField::Ring)).is_some() => {
                    if let CallTime::Answer | CallTime::Abandon = time {
                        self.correct_time(before, time, -i128::from(then));
                    }
                }
                (_, None) | (Some(_), Some(_)) => {}
            }
        }
        if after.rules.operators {
            let since = self.counting_since;
            (self.operators).revise(before, after, since, limits, &mut self.folded);
        }
    }

    fn revise_counts(
        &mut self,
        before: &CountedCall<'_>,
        after: &CountedCall<'_>,
        moved: bool,
        row: u32,
    ) {
        for count in Count::ALL {
            match (before.is(count), after.is(count)) {
                (true, true) if moved => {
                    self.correct_count(before, count, -1);
                    self.correct_count(after, count, 1);
                }
                (true, false) => self.correct_count(before, count, -1),
                (false, true) => self.calls.add_count(row, count, 1),
                (true, true) | (false, false) => {}
            }
        }
    }

    /// Shows the series of a client at 0 before its first call.
    pub(crate) fn know(&mut self, client: &str, center: Option<&str>, now: i64, limits: Limits) {
        if !limits.allows_zeros(self.calls.counts.table.rows()) {
            return;
        }
        self.calls.client(client, now);
        if let Some(center) = center {
            self.calls.expect(client, center, now);
        }
    }

    /// The version of a call with the labels that it is counted under: its own, or those of folded
    /// calls if it was counted before its labels had a row.
    fn placed<'a>(&self, call: &CountedCall<'a>) -> CountedCall<'a> {
        let row = self.calls.find(call.client, call.center, call.direction);
        if row.is_some_and(|row| self.calls.since(row) <= call.rules.sequence) {
            return *call;
        }
        CountedCall {
            client: FOLDED_ID,
            center: FOLDED_ID,
            ..*call
        }
    }

    /// The row to count a call in. A new label set beyond the cap is folded.
    fn row(&mut self, call: &CountedCall<'_>, observed_at: i64, limits: Limits) -> u32 {
        let found = self.calls.find(call.client, call.center, call.direction);
        match found.filter(|row| self.calls.counts.is_used(*row)) {
            Some(row) => {
                // A history by last versions is not in the order of the journal.
                self.calls.note_since(row, call.rules.sequence);
                row
            }
            None => self.use_row(
                (call.client, call.center, call.direction),
                observed_at,
                call.rules.sequence,
                limits,
            ),
        }
    }

    pub(crate) fn use_row(
        &mut self,
        (client, center, direction): (&str, &str, Direction),
        observed_at: i64,
        since: i64,
        limits: Limits,
    ) -> u32 {
        let used = self.calls.counts.used_rows;
        let folds = self
            .folded
            .folds(FoldGroup::Calls, limits, used, || client == FOLDED_ID);
        let (client, center) = if folds {
            (FOLDED_ID, FOLDED_ID)
        } else {
            (client, center)
        };
        let row = self
            .calls
            .find_or_push(client, center, direction, observed_at);
        self.calls.mark_used(row, observed_at, since);
        if client != FOLDED_ID {
            self.calls.expect(client, center, observed_at);
        }
        row
    }

    pub(crate) fn miss(&mut self, field: CallField, values: u64) {
        let labels = [self.name.as_str(), field.name()];
        let family = FamilyId::CallValuesMissing;
        self.missing
            .add(&field, family, &labels, self.counting_since, values.into());
    }

    /// Corrects a time where the call was counted. Its labels have a row or are those of folded
    /// calls, so the cap holds for corrections, too.
    fn correct_time(&mut self, call: &CountedCall<'_>, time: CallTime, milliseconds: i128) {
        let key = (
            Box::from(call.client),
            Box::from(call.center),
            call.direction,
            time,
        );
        self.add_time_correction(&key, milliseconds);
    }

    pub(crate) fn add_time_correction(
        &mut self,
        key: &(Box<str>, Box<str>, Direction, CallTime),
        milliseconds: i128,
    ) {
        let labels = [&self.name, &*key.0, &*key.1, key.2.as_str(), key.3.label()];
        let family = FamilyId::CallCorrectionsSeconds;
        self.corrected_times
            .add(key, family, &labels, None, milliseconds);
    }

    fn correct_count(&mut self, call: &CountedCall<'_>, count: Count, calls: i128) {
        let key = (
            call.client.into(),
            call.center.into(),
            call.direction,
            count,
        );
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
        self.calls.counts.used_rows > 0
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
}
