//! Past days that operators ask the running exporter to read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use callmeter_journal::PageCounts;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Readings of a day that may fail before a request gives it up. The exporter tries on.
const ATTEMPTS: u32 = 5;

/// The requests that no poll has taken yet, by account.
#[derive(Debug, Clone, Default)]
pub struct BackfillRequests(Arc<Mutex<BTreeMap<String, Vec<BackfillRequest>>>>);

/// A request for past days of an account's calls.
#[derive(Debug)]
pub(super) struct BackfillRequest {
    pub(super) days: Vec<Date>,
    pub(super) again: bool,
    progress: watch::Sender<BackfillProgress>,
}

/// How far a request is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillProgress {
    /// Days that were asked for.
    pub days: u64,
    /// Days among them that had been read before.
    pub read_before: u64,
    /// Days that were read and proven complete.
    pub read: u64,
    /// The day that was read last.
    pub day: Option<Date>,
    /// Records read.
    pub records: u64,
    /// Calls among them that the journal did not have.
    pub new: u64,
    /// Calls among them that the journal had with other contents.
    pub revised: u64,
    /// Calls among them that the journal had.
    pub known: u64,
    /// Calls among them that are older than what retention kept.
    pub forgotten: u64,
    /// Calls among them that do not count yet, because they have not settled.
    pub waiting: u64,
    /// Days that could not be proven complete, each with the reason.
    pub not_proven: Vec<(Date, String)>,
    /// Whether nothing more is expected.
    pub is_done: bool,
}

/// A request whose days are being read.
#[derive(Debug)]
pub(super) struct ActiveRequest {
    /// The days that are not read, with their failures.
    left: BTreeMap<Date, u32>,
    progress: watch::Sender<BackfillProgress>,
}

impl BackfillRequests {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<BackfillRequest>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for days of an account's calls. The next poll of the account takes the request.
    pub fn submit(
        &self,
        account: &str,
        days: Vec<Date>,
        again: bool,
    ) -> watch::Receiver<BackfillProgress> {
        let (progress, receiver) = watch::channel(BackfillProgress::default());
        let request = BackfillRequest {
            days,
            again,
            progress,
        };
        self.lock()
            .entry(account.to_owned())
            .or_default()
            .push(request);
        receiver
    }

    pub(super) fn take(&self, account: &str) -> Vec<BackfillRequest> {
        self.lock().remove(account).unwrap_or_default()
    }
}

impl BackfillProgress {
    /// The progress of a request for so many days, of which `left` have to be read.
    pub(crate) fn new(days: usize, left: usize) -> Self {
        Self {
            days: days as u64,
            read_before: (days - left.min(days)) as u64,
            is_done: left == 0,
            ..Self::default()
        }
    }

    /// Adds the records that a reading of a day has read.
    pub(crate) fn add(&mut self, day: Date, counts: &PageCounts) {
        self.day = Some(day);
        self.records += counts.total();
        self.new += counts.new;
        self.revised += counts.revised;
        self.known += counts.known + counts.repeated;
        self.forgotten += counts.forgotten;
        self.waiting += counts.unsettled;
    }
}

impl BackfillRequest {
    /// The request, when these of its days have to be read.
    pub(super) fn start(self, left: Vec<Date>) -> ActiveRequest {
        let progress = BackfillProgress::new(self.days.len(), left.len());
        self.progress.send_replace(progress);
        ActiveRequest {
            left: left.into_iter().map(|day| (day, 0)).collect(),
            progress: self.progress,
        }
    }
}

impl ActiveRequest {
    /// Notes how a reading of a day ended: it is proven, or it failed, or it goes on.
    pub(super) fn day_ended(
        &mut self,
        day: Date,
        counts: &PageCounts,
        is_proven: bool,
        failure: Option<&str>,
    ) {
        let Some(failures) = self.left.get_mut(&day) else {
            return;
        };
        *failures += u32::from(failure.is_some());
        let given_up = (*failures >= ATTEMPTS).then_some(failure).flatten();
        let ends = is_proven || given_up.is_some();
        if ends {
            self.left.remove(&day);
        }
        let is_done = self.left.is_empty();
        self.progress.send_modify(|progress| {
            progress.add(day, counts);
            progress.read += u64::from(is_proven);
            if let Some(failure) = given_up {
                progress.not_proven.push((day, failure.to_owned()));
            }
            progress.is_done = is_done;
        });
    }

    /// Whether somebody waits for more of its days.
    pub(super) fn is_waited_for(&self) -> bool {
        !self.left.is_empty() && !self.progress.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_when_its_days_are_proven_or_given_up() {
        let requests = BackfillRequests::default();
        let days: Vec<Date> = (1..=3).map(|day| Date::constant(2026, 1, day)).collect();
        let progress = requests.submit("acme", days.clone(), false);
        assert!(requests.take("other").is_empty());
        let request = requests.take("acme").pop().unwrap();
        let mut active = request.start(days[1..].to_vec());
        let counts = PageCounts {
            new: 2,
            known: 1,
            ..PageCounts::default()
        };
        active.day_ended(days[0], &counts, true, None);
        active.day_ended(days[1], &counts, true, None);
        for _ in 0..ATTEMPTS {
            assert!(active.is_waited_for());
            active.day_ended(days[2], &PageCounts::default(), false, Some("server error"));
        }
        assert!(!active.is_waited_for());
        let progress = progress.borrow().clone();
        assert_eq!(
            progress,
            BackfillProgress {
                days: 3,
                read_before: 1,
                read: 1,
                day: Some(days[2]),
                records: 3,
                new: 2,
                known: 1,
                not_proven: vec![(days[2], "server error".to_owned())],
                is_done: true,
                ..BackfillProgress::default()
            }
        );
    }
}
