//! Batches in: what each stream's rows do to the totals.

use arrow_array::RecordBatch;
use callmeter_records::calls::CallRow;
use callmeter_records::{CallsView, Change, CommonView, Previous, RatesView, Stream, ViewError};

use crate::call::Call;
use crate::ledger::Ledger;
use crate::polled::rate_label;
use crate::totals::AccountTotals;

/// Why a batch cannot be counted. None of its rows has been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Its columns are not those of its stream.
    #[error("cannot count a batch of {stream}: {error}")]
    Columns {
        /// The stream that the batch was said to be of.
        stream: Stream,
        /// What is wrong with it.
        error: ViewError,
    },
    /// A row does not say what it does to its record.
    #[error("cannot count a batch of {stream}: row {row} says neither new, revised nor removed")]
    Change {
        /// The stream.
        stream: Stream,
        /// The row, from 0.
        row: usize,
    },
    /// An edited call does not say what it was before.
    #[error("cannot count a batch of calls: row {row} is revised but lacks what it was before")]
    NoPrevious {
        /// The row, from 0.
        row: usize,
    },
}

impl Ledger {
    /// Counts a batch of the journal. `number` is its place in the journal, which is dense over all streams and starts at 1.
    ///
    /// Tells whether it did: a batch that was counted before is left alone. Batches of different accounts may come in any order,
    /// those of one account must come in the journal's. Either all rows are counted or, on an error, none.
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
            // Their figures are gauges, which the poller sets: only a change of them is journaled.
            Stream::Balances | Stream::Billing => {}
        }
        self.applied.insert(number);
        Ok(true)
    }

    fn apply_calls(&mut self, view: &CallsView<'_>) {
        let cap = self.limits.label_sets;
        let mut rows = view.rows().peekable();
        while let Some(first) = rows.peek() {
            let account = first.account();
            let totals = self.totals(account);
            while let Some(row) = rows.next_if(|row| row.account() == account) {
                apply_call(totals, &row, cap);
            }
        }
    }

    fn apply_rates(&mut self, view: &RatesView<'_>) {
        let cap = self.limits.label_sets;
        for row in view.rows() {
            let Some(change) = row.change() else { continue };
            let rate_type = rate_label(row.rate_type());
            let totals = self.totals(row.account());
            totals.begin(row.observed_at());
            totals.rate_changed(&rate_type, change, cap);
        }
    }
}

/// Makes sure that every row says what it does, before the first is counted.
fn check_changes(stream: Stream, batch: &RecordBatch) -> Result<(), ApplyError> {
    let rows = CommonView::new(batch).map_err(|error| ApplyError::Columns { stream, error })?;
    match (0..rows.rows()).find(|row| rows.change(*row).is_none()) {
        Some(row) => Err(ApplyError::Change { stream, row }),
        None => Ok(()),
    }
}

fn apply_call(totals: &mut AccountTotals, row: &CallRow<'_, '_>, cap: usize) {
    totals.begin(row.observed_at());
    totals.saw_event(row.start_time());
    let call = Call::new(
        row.client_id(),
        row.center_id(),
        row.call_type(),
        row.answered_by(),
        row.flagged(),
        row.durations(),
    );
    match row.change() {
        Some(Change::Revised) => {
            if let Some(previous) = row.previous() {
                totals.revise(&before(&previous), &call, row.observed_at(), cap);
            }
        }
        Some(Change::New) => {
            if row.id().is_none_or(str::is_empty) {
                totals.without_id += 1;
            }
            totals.count(&call, row.observed_at(), cap);
        }
        // Calls are never removed: what the API forgets was counted all the same.
        Some(Change::Removed) | None => {}
    }
}

fn before<'a>(previous: &Previous<'a>) -> Call<'a> {
    Call::new(
        previous.client_id,
        previous.center_id,
        previous.call_type,
        previous.answered_by,
        previous.flagged,
        previous.durations,
    )
}
