//! What a poll of calls has read, and what failed.

use std::fmt::Write as _;
use std::sync::Arc;

use callmeter_journal::PageCounts;
use jiff::civil::Date;

use super::reader::Taken;
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
    /// Whether a request was sent.
    pub(super) has_asked: bool,
    /// Whether the server has returned a page.
    pub(super) has_answer: bool,
    /// Days whose requests had no answer although others had.
    pub(super) unanswered: u32,
    reported: (PageCounts, NotableCalls),
    tail_failure: Option<PollError>,
    cap: Option<(Date, String)>,
}

impl PollSummary {
    /// Adds what became of a page.
    pub(super) fn add(&mut self, taken: &Taken) {
        self.has_answer = true;
        self.counts += taken.counts;
        self.unreadable += taken.unreadable;
        self.notable.implausible += taken.implausible;
        self.unfiltered_pages += u64::from(taken.unexpected * 2 > taken.counts.total());
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

    /// How the poll ended, with the days whose last readings failed, in this poll or before.
    pub(super) fn end<'f>(
        self,
        mut failing: impl Iterator<Item = (&'f Date, &'f Arc<PollError>)>,
    ) -> Result<Polled, PollError> {
        let is_partial = self.has_answer || !self.has_asked;
        if let Some((day, source)) = failing.next() {
            return Err(PollError::Days {
                day: *day,
                more: failing.count(),
                is_partial,
                source: Arc::clone(source),
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
        Ok(Polled {
            found,
            truncated,
            is_idle: !self.has_asked,
        })
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
