//! What a poll of calls has read, and what failed.

use std::fmt::Write as _;
use std::sync::Arc;

use callmeter_journal::PageCounts;
use jiff::civil::Date;

use crate::sources::error::PollError;
use crate::sources::poll::Polled;
use crate::status::NotableCalls;

/// What one poll read.
#[derive(Debug, Default)]
pub(super) struct PollSummary {
    pub(super) counts: PageCounts,
    pub(super) unreadable: u64,
    pub(super) unfiltered_pages: u64,
    pub(super) notable: NotableCalls,
    /// Days that were read to their ends.
    pub(super) days: u64,
    /// Whether the server has returned a page.
    pub(super) has_answer: bool,
    reported: (PageCounts, NotableCalls),
    failures: Vec<(Date, Arc<PollError>)>,
    tail_failure: Option<PollError>,
    cap: Option<(Date, String)>,
}

impl PollSummary {
    pub(super) fn failed(&mut self, day: Date, error: Arc<PollError>) {
        self.failures.push((day, error));
    }

    pub(super) fn tail_failed(&mut self, error: PollError) {
        self.tail_failure = Some(error);
    }

    pub(super) fn capped(&mut self, day: Date, cap: String) {
        self.cap.get_or_insert((day, cap));
    }

    /// The counts since the last call.
    pub(super) fn take_unreported(&mut self) -> (PageCounts, NotableCalls) {
        let now = (self.counts, self.notable);
        let (counts, notable) = std::mem::replace(&mut self.reported, now);
        let notable = NotableCalls {
            found_by_audit: self.notable.found_by_audit - notable.found_by_audit,
            implausible: self.notable.implausible - notable.implausible,
        };
        (self.counts.since(counts), notable)
    }

    /// How the poll ended.
    pub(super) fn end(mut self) -> Result<Polled, PollError> {
        self.failures.sort_by_key(|(day, _)| *day);
        let more = self.failures.len().saturating_sub(1);
        let is_partial = self.has_answer;
        if let Some((day, source)) = self.failures.into_iter().next() {
            return Err(PollError::Days {
                day,
                more,
                is_partial,
                source,
            });
        }
        if let Some(source) = self.tail_failure {
            return Err(PollError::Tail {
                is_partial,
                source: Box::new(source),
            });
        }
        let found = describe(&self.counts, self.unreadable, self.days);
        let truncated = self.cap.map(|(day, cap)| format!("{day}: {cap}"));
        Ok(Polled { found, truncated })
    }
}

fn describe(counts: &PageCounts, unreadable: u64, days: u64) -> String {
    let PageCounts {
        new,
        revised,
        unsettled,
        outside_window,
        forgotten,
        ..
    } = *counts;
    let total = counts.total();
    let mut text = match days {
        0 => format!("{total} records at the end of the list, {new} new"),
        1 => format!("{total} records, 1 day read to its end, {new} new"),
        days => format!("{total} records, {days} days read to their ends, {new} new"),
    };
    for (count, word) in [
        (revised, "edited"),
        (unsettled, "not settled yet"),
        (outside_window, "outside the requested days"),
        (forgotten, "older than the journal"),
        (unreadable, "unreadable"),
    ] {
        if count > 0 {
            // Writing to a String does not fail.
            let _ = write!(text, ", {count} {word}");
        }
    }
    text
}
