//! The calls of each client that callmeter has counted in a billing period, to compare with what
//! the balances say.

use std::collections::HashMap;

use callmeter_journal::{BatchSeq, Filter, Journal, JournalError};
use callmeter_records::calls::CallRow;
use callmeter_records::{CallsView, Change, Stream};

use crate::sources::error::PollError;

/// The counted calls of one period, by client. It follows the journal.
#[derive(Debug, Default)]
pub(super) struct PeriodCalls {
    /// Start and end, in UTC microseconds.
    period: (i64, i64),
    after: BatchSeq,
    calls: HashMap<String, i64>,
}

impl PeriodCalls {
    /// Adds what the journal has new. Starts over when the period is another one.
    pub(super) fn follow(
        &mut self,
        journal: &Journal,
        account: &str,
        period: (i64, i64),
    ) -> Result<(), PollError> {
        if self.period != period {
            *self = Self {
                period,
                ..Self::default()
            };
        }
        let filter = Filter {
            stream: Some(Stream::Calls),
            account: Some(account.to_owned()),
            from: Some(period.0),
            to: Some(period.1),
        };
        while let Some(batch) = journal.next_matching(&filter, self.after)? {
            let seq = batch.meta.seq;
            let view = CallsView::new(&batch.records).map_err(|source| JournalError::View {
                seq,
                stream: Stream::Calls,
                source,
            })?;
            for row in view.rows() {
                self.add(&row);
            }
            self.after = seq;
        }
        Ok(())
    }

    /// Counts a row. A revision moves a call between clients; one whose start moves into the period
    /// or out of it is not followed.
    fn add(&mut self, row: &CallRow<'_, '_>) {
        let (start, end) = self.period;
        if !row
            .start_time()
            .is_some_and(|at| (start..end).contains(&at))
        {
            return;
        }
        match row.change() {
            Some(Change::New) => self.count(row.client_id(), 1),
            Some(Change::Revised) => {
                if let Some(previous) = row.previous() {
                    self.count(previous.client_id, -1);
                    self.count(row.client_id(), 1);
                }
            }
            Some(Change::Removed) | None => {}
        }
    }

    fn count(&mut self, client: Option<&str>, by: i64) {
        let client = client.unwrap_or_default();
        match self.calls.get_mut(client) {
            Some(calls) => *calls += by,
            None => {
                self.calls.insert(client.to_owned(), by);
            }
        }
    }

    /// The counted calls of a client.
    pub(super) fn of(&self, client: &str) -> i64 {
        self.calls.get(client).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use callmeter_journal::{Options, PollOptions, Purpose};
    use callmeter_records::{Call, Reading};

    use super::*;

    #[test]
    fn calls_of_the_period_are_counted_by_client() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path().join("j.db"), &Options::default()).unwrap();
        let page = |calls: &[(&'static str, &'static str, i64)]| {
            let options = PollOptions {
                purpose: Purpose::Regular,
                range: 0..1_000,
                settle: std::time::Duration::ZERO,
            };
            let mut session = journal.ingest_session("acme", options).unwrap();
            let mut page = session.page(0..1_000, 1_000).unwrap();
            for (id, client, start) in calls {
                let call = Call {
                    id: Some(id),
                    client_id: Some(client),
                    start_time: Reading::Known(*start),
                    duration_ms: Reading::Known(0),
                    ..Call::default()
                };
                page.add(&call).unwrap();
            }
            page.commit(None).unwrap();
        };
        let mut calls = PeriodCalls::default();
        let mut counted = |period| {
            calls.follow(&journal, "acme", period).unwrap();
            ["a", "b", "c"].map(|client| calls.of(client))
        };
        page(&[("1", "a", 5), ("2", "a", 99), ("3", "b", 100)]);
        assert_eq!(counted((0, 100)), [2, 0, 0]);
        page(&[("1", "c", 5), ("4", "a", 50)]);
        assert_eq!(counted((0, 100)), [2, 0, 1]);
        assert_eq!(counted((100, 200)), [0, 1, 0]);
    }
}
