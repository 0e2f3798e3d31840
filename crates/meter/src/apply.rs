//! Counting batches: what the rows of each stream add to the totals.

use arrow_array::RecordBatch;
use callmeter_records::calls::CallRow;
use callmeter_records::{
    CallsView, Change, ChargesView, CommonView, Previous, RatesView, Stream, ViewError,
};

use crate::counted_call::CountedCall;
use crate::label_text::bounded;
use crate::ledger::Ledger;
use crate::polled::rate_label;
use crate::rules::{Rules, Settings};
use crate::totals::AccountTotals;

/// Why a batch cannot be counted. None of its rows is counted then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Its columns do not match its stream.
    #[error("cannot count a batch of {stream}: {error}")]
    Columns {
        /// The stream named by the caller.
        stream: Stream,
        /// What is wrong with it.
        error: ViewError,
    },
    /// A row has no valid change.
    #[error("cannot count a batch of {stream}: row {row} is neither new, revised nor removed")]
    Change {
        /// The stream.
        stream: Stream,
        /// The row, from 0.
        row: usize,
    },
    /// An edited call lacks its previous values.
    #[error("cannot count a batch of calls: row {row} is revised but has no previous values")]
    NoPrevious {
        /// The row, from 0.
        row: usize,
    },
}

impl Ledger {
    /// Counts a batch of the journal. `number` is its sequence number in the journal, which runs
    /// from 1 over all streams without gaps.
    ///
    /// Returns false for a batch that was counted before. Batches of different accounts may come in
    /// any order, those of one account in the journal's. On an error no row is counted.
    pub fn apply(
        &mut self,
        number: u64,
        stream: Stream,
        batch: &RecordBatch,
    ) -> Result<bool, ApplyError> {
        if self.applied.contains(number) {
            return Ok(false);
        }
        let columns = |error| ApplyError::Columns { stream, error };
        match stream {
            Stream::Calls => {
                let view = CallsView::new(batch).map_err(columns)?;
                check_changes(stream, batch)?;
                for (row, call) in view.rows().enumerate() {
                    if call.change() == Some(Change::Revised) && call.previous().is_none() {
                        return Err(ApplyError::NoPrevious { row });
                    }
                }
                self.apply_calls(&view);
            }
            Stream::Rates => {
                let view = RatesView::new(batch).map_err(columns)?;
                check_changes(stream, batch)?;
                self.apply_rates(&view);
            }
            Stream::Charges => {
                let view = ChargesView::new(batch).map_err(columns)?;
                check_changes(stream, batch)?;
                self.apply_charges(&view);
            }
            // Shown as gauges, which the poller sets.
            Stream::Balances | Stream::Billing => {}
        }
        self.applied.insert(number);
        Ok(true)
    }

    /// Counts each row of a batch of calls as a call that is seen for the first time. For a history
    /// of calls by their last versions.
    pub fn apply_last_versions(&mut self, batch: &RecordBatch) -> Result<(), ApplyError> {
        let columns = |error| ApplyError::Columns {
            stream: Stream::Calls,
            error,
        };
        let settings = self.settings.clone();
        for row in CallsView::new(batch).map_err(columns)?.rows() {
            let totals = self.totals(row.account());
            totals.start_counting(row.observed_at());
            with_call(&row, &settings, |call| {
                totals.count(call, row.observed_at(), settings.limits);
            });
        }
        Ok(())
    }

    fn apply_calls(&mut self, view: &CallsView<'_>) {
        let settings = self.settings.clone();
        let mut last = settings.last;
        let mut rows = view.rows().peekable();
        while let Some(first) = rows.peek() {
            let account = first.account();
            let totals = self.totals(account);
            while let Some(row) = rows.next_if(|row| row.account() == account) {
                apply_call(totals, &row, &settings);
                last = last.max(row.sequence());
            }
        }
        self.settings.counted(last);
    }

    fn apply_charges(&mut self, view: &ChargesView<'_>) {
        let limits = self.settings.limits;
        for row in view.rows() {
            let totals = self.totals(row.account());
            totals.start_counting(row.observed_at());
            totals.charge(&row, limits);
        }
    }

    fn apply_rates(&mut self, view: &RatesView<'_>) {
        let limits = self.settings.limits;
        for row in view.rows() {
            let Some(change) = row.change() else { continue };
            let rate_type = rate_label(row.rate_type());
            let totals = self.totals(row.account());
            totals.start_counting(row.observed_at());
            totals.rate_changed(&rate_type, change, limits);
        }
    }
}

/// Checks that every row has a valid change, before the first is counted.
fn check_changes(stream: Stream, batch: &RecordBatch) -> Result<(), ApplyError> {
    let rows = CommonView::new(batch).map_err(|error| ApplyError::Columns { stream, error })?;
    match (0..rows.rows()).find(|row| rows.change(*row).is_none()) {
        Some(row) => Err(ApplyError::Change { stream, row }),
        None => Ok(()),
    }
}

/// Passes a row on as the call that it is counted as.
fn with_call(row: &CallRow<'_, '_>, settings: &Settings, count: impl FnOnce(&CountedCall<'_>)) {
    let labels = [row.client_id(), row.center_id(), row.answered_by()];
    let [client, center, answered_by] = labels.map(|label| label.map(bounded));
    count(&CountedCall::new(
        client.as_deref(),
        center.as_deref(),
        row.call_type(),
        answered_by.as_deref(),
        row.flagged(),
        row.counted_durations(),
        settings.rules(row.sequence()),
    ));
}

fn apply_call(totals: &mut AccountTotals, row: &CallRow<'_, '_>, settings: &Settings) {
    totals.start_counting(row.observed_at());
    totals.note_start(row.start_time());
    let (start, observed_at) = (row.start_time(), row.observed_at());
    with_call(row, settings, |call| match row.change() {
        Some(Change::Revised) => {
            if let Some(previous) = row.previous() {
                revise(totals, row, call, &previous, settings);
            }
        }
        Some(Change::New) => {
            if row.id().is_none_or(str::is_empty) {
                totals.without_id += 1;
            }
            totals.count(call, observed_at, settings.limits);
            totals.hours.add(call, start, observed_at, 1);
        }
        // Calls are never removed: a call that the API no longer lists stays counted.
        Some(Change::Removed) | None => {}
    });
}

fn revise(
    totals: &mut AccountTotals,
    row: &CallRow<'_, '_>,
    call: &CountedCall<'_>,
    previous: &Previous<'_>,
    settings: &Settings,
) {
    let labels = [previous.client_id, previous.center_id, previous.answered_by];
    let [client, center, answered_by] = labels.map(|label| label.map(bounded));
    let before = CountedCall::new(
        client.as_deref(),
        center.as_deref(),
        previous.call_type,
        answered_by.as_deref(),
        previous.flagged,
        previous.durations,
        rules_before(settings, call, previous.sequence),
    );
    let (start, observed_at) = (row.start_time(), row.observed_at());
    totals.revise(&before, call, observed_at, settings.limits);
    // Older versions of callmeter did not note the start of the version before.
    let (start_before, read_before) = match previous.observed_at {
        Some(observed_at) => (previous.start_time, observed_at),
        None => (start, observed_at),
    };
    totals.hours.add(&before, start_before, read_before, -1);
    totals.hours.add(call, start, observed_at, 1);
}

/// The settings under which the version before an edit was counted. Without its place, which older
/// versions of callmeter did not note, those of the edit.
fn rules_before(settings: &Settings, edit: &CountedCall<'_>, sequence: Option<i64>) -> Rules {
    sequence.map_or(edit.rules, |sequence| settings.rules(sequence))
}
