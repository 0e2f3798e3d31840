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
        while let Some(batch) = journal.next_matching(&self.filter(account), self.after)? {
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

    /// The batches to read: the first one with a call of the period, and all after it, because an
    /// edit may move a call out of the period.
    fn filter(&self, account: &str) -> Filter {
        let first = self.after == BatchSeq::default();
        Filter {
            stream: Some(Stream::Calls),
            account: Some(account.to_owned()),
            from: first.then_some(self.period.0),
            to: first.then_some(self.period.1),
        }
    }

    /// Counts a row. A revision may move a call between clients, into the period, or out of it.
    fn add(&mut self, row: &CallRow<'_, '_>) {
        match row.change() {
            Some(Change::New) => self.count(row.client_id(), row.start_time(), 1),
            Some(Change::Revised) => {
                if let Some(previous) = row.previous() {
                    // Older versions of callmeter did not note the start of the version before.
                    let start = match previous.sequence {
                        Some(_) => previous.start_time,
                        None => row.start_time(),
                    };
                    self.count(previous.client_id, start, -1);
                    self.count(row.client_id(), row.start_time(), 1);
                }
            }
            Some(Change::Removed) | None => {}
        }
    }

    fn count(&mut self, client: Option<&str>, at: Option<i64>, by: i64) {
        let (start, end) = self.period;
        if !at.is_some_and(|at| (start..end).contains(&at)) {
            return;
        }
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
        // Edits move one call into the period, and two out of it.
        assert_eq!(counted((0, 100)), [2, 0, 1]);
        page(&[("3", "b", 60)]);
        page(&[("1", "c", 500), ("4", "a", 600)]);
        assert_eq!(counted((0, 100)), [1, 1, 0]);
        // The same when it is read from the beginning.
        assert_eq!(counted((0, 101)), [1, 1, 0]);
    }
}
