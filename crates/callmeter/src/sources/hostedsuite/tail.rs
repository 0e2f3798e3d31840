//! The tail: finds new calls with one request, at the end of the list that the server sorts by
//! start time, latest first.
//!
//! The tail proves nothing. Whole days are read from time to time, and what that finds decides
//! whether the tail is trusted.

use std::collections::HashMap;
use std::time::Duration;

use callmeter_journal::Classification;
use hostedsuite_client::{CallsQuery, FirstPage, SortDir};
use tokio::time::Instant;

use super::days::Day;

/// Rows requested per page, at least and at most. In between, it is as many as were listed in the
/// time that a tail goes back, and half of that again.
const FEWEST_ROWS: u32 = 32;
pub(super) const PAGE_ROWS: u32 = 500;
/// The most pages of one tail; reading the whole day costs little more.
const MAX_PAGES: usize = 10;
/// A call is listed when it has ended, behind those that started later. So a tail goes back this
/// far even if it knows all calls, but reads no more pages for that reason.
const REACH: i64 = 30 * 60 * 1_000_000;
const REACH_PAGES: usize = 3;
/// How long a tail that failed to find a call is not used.
const DISTRUST: Duration = Duration::from_hours(1);
/// Calls that started longer ago are left to the readings of whole days.
const DEEPEST: i64 = 2 * 3_600 * 1_000_000;
/// A call that does not show its end is looked for again for so long after its start.
const RUNNING: i64 = 15 * 60 * 1_000_000;
const DAY: i64 = 86_400 * 1_000_000;

/// What is known of the end of an account's list.
#[derive(Debug, Default)]
pub(super) struct Tail {
    distrusted: Option<(Instant, &'static str)>,
    /// Whether whole days have been read since the process started.
    is_prepared: bool,
    /// What the last tail has seen.
    seen: Option<Seen>,
    /// Rows that the last tail had to see; `None` if that is not known.
    needed_rows: Option<u32>,
    /// New calls that tails have found since a whole day was read.
    found: u64,
    /// Calls that had not settled, by a hash of their ids.
    waiting: HashMap<u64, Waiting>,
}

/// The calls that a tail has found, unless the server hides some.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// The tail asked for calls that started from then on.
    from: i64,
    /// And has seen those that started from then on.
    oldest: i64,
    /// Those that had settled by then.
    settled_by: i64,
}

/// What it says of the tail that the reading of a whole day found a new call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing: the call had not settled, or no tail has looked.
    Expected,
    /// The call was further back than the tail goes.
    Deeper,
    /// The tail does not find all calls.
    Missed,
}

/// A call that has not settled. Times are UTC microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) id: u64,
    pub(super) start: i64,
    pub(super) until: i64,
}

impl Waiting {
    /// Whether the call may settle earlier than it says: it has not shown its end.
    fn may_be_running(&self) -> bool {
        self.until.saturating_sub(self.start) >= DAY
    }
}

/// A row of a page, as far as the tail is concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct TailRow {
    /// A hash of its id.
    pub(super) id: u64,
    pub(super) start: Option<i64>,
    pub(super) classification: Classification,
    /// The call, if it has not settled.
    pub(super) waiting: Option<Waiting>,
}

/// What to do after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextPage {
    Request,
    /// Everything new was found.
    Done,
    /// The tail was not enough: today has to be read as a whole.
    GiveUp,
}

/// One run of the tail over pages.
#[derive(Debug)]
pub(super) struct TailRun {
    from: i64,
    now: i64,
    /// Calls as old as this are looked for again.
    depth: i64,
    /// How far back it goes in any case, within some pages.
    reach: i64,
    pages: usize,
    /// Rows up to the last one that it had to see.
    needed_rows: u32,
    rows: u32,
    /// The first start of the last page.
    page_start: Option<i64>,
    oldest: i64,
    waiting: Vec<Waiting>,
}

impl Tail {
    /// Whether the tail can be used now.
    pub(super) fn is_trusted(&self, now: Instant) -> bool {
        self.distrusted.is_none_or(|(until, _)| until <= now)
    }

    /// Why the tail is not used now.
    pub(super) fn distrusted(&self, now: Instant) -> Option<&'static str> {
        self.distrusted
            .filter(|(until, _)| now < *until)
            .map(|(_, why)| why)
    }

    pub(super) fn is_prepared(&self) -> bool {
        self.is_prepared
    }

    /// Notes that the days that the tail covers have been read as a whole.
    pub(super) fn prepare(&mut self) {
        self.is_prepared = true;
    }

    fn distrust(&mut self, why: &'static str, now: Instant) {
        self.distrusted = Some((now + DISTRUST, why));
        self.has_not_looked();
    }

    /// Starts a run over the days from `yesterday` on; `now` is UTC, microseconds.
    pub(super) fn start(&self, yesterday: Day, now: i64) -> TailRun {
        let from = yesterday.start.as_microsecond();
        let settled = self.waiting.values().filter(|call| {
            let is_due = call.until <= now;
            let looks = call.may_be_running() && call.start >= now.saturating_sub(RUNNING);
            call.start >= now.saturating_sub(DEEPEST) && (is_due || looks)
        });
        TailRun {
            from,
            now,
            reach: now.saturating_sub(REACH),
            depth: settled.map(|call| call.start).min().unwrap_or(i64::MAX),
            pages: 0,
            needed_rows: 0,
            rows: 0,
            page_start: None,
            oldest: i64::MAX,
            waiting: Vec::new(),
        }
    }

    /// Notes the rows of a page in the server's order; says what to do next.
    pub(super) fn page(&mut self, run: &mut TailRun, rows: &[TailRow], now: Instant) -> NextPage {
        // Calls that are listed in between push rows down to this page that the last one had.
        let mut last_start = None;
        let deep = run.depth.min(run.reach);
        for row in rows {
            run.waiting.extend(row.waiting);
            let is_new = matches!(row.classification, Classification::New { .. });
            self.found += u64::from(is_new);
            run.rows = run.rows.saturating_add(1);
            if is_new || row.start.is_some_and(|start| start > deep) {
                run.needed_rows = run.rows;
            }
            let Some(start) = row.start else { continue };
            let first = last_start.is_none();
            let is_later = |than: i64| start > than;
            if (first && run.page_start.is_some_and(is_later)) || last_start.is_some_and(is_later) {
                self.distrust("the server does not sort calls by start time", now);
                return NextPage::GiveUp;
            }
            if first {
                run.page_start = Some(start);
            }
            last_start = Some(start);
            run.oldest = run.oldest.min(start);
        }
        run.pages += 1;
        if rows.is_empty() {
            // It has seen all calls that there are.
            run.oldest = run.from;
            return NextPage::Done;
        }
        let older_half = rows.get(rows.len() / 2..).unwrap_or_default();
        let is_known = |row: &TailRow| match row.classification {
            Classification::New { .. } => false,
            Classification::Unsettled => row
                .waiting
                .is_some_and(|call| self.waiting.contains_key(&call.id)),
            _ => true,
        };
        let is_deep = run.oldest <= deep || run.pages >= REACH_PAGES;
        if older_half.iter().all(is_known) && is_deep {
            return NextPage::Done;
        }
        if run.pages == MAX_PAGES {
            return NextPage::GiveUp;
        }
        NextPage::Request
    }

    /// Rows to request per page.
    pub(super) fn page_rows(&self) -> u32 {
        self.needed_rows.map_or(PAGE_ROWS, |needed| {
            (needed + needed / 2).clamp(FEWEST_ROWS, PAGE_ROWS)
        })
    }

    /// Ends a run that found everything new.
    pub(super) fn end(&mut self, run: TailRun) {
        self.needed_rows = Some(run.needed_rows.min(PAGE_ROWS));
        let oldest = run.oldest;
        self.waiting
            .retain(|_, call| call.start < oldest && call.start >= run.from);
        self.note_waiting(run.waiting);
        self.seen = Some(Seen {
            from: run.from,
            oldest,
            settled_by: run.now,
        });
    }

    /// Notes calls that have not settled.
    pub(super) fn note_waiting(&mut self, calls: impl IntoIterator<Item = Waiting>) {
        self.waiting
            .extend(calls.into_iter().map(|call| (call.id, call)));
    }

    /// What it says of the tail that the reading of a whole day found this new call.
    pub(super) fn finding(&self, call: Waiting) -> Finding {
        let Some(seen) = self.seen.filter(|seen| call.until <= seen.settled_by) else {
            return Finding::Expected;
        };
        if call.start >= seen.oldest && !self.waiting.contains_key(&call.id) {
            Finding::Missed
        } else if call.start >= seen.from {
            Finding::Deeper
        } else {
            Finding::Expected
        }
    }

    /// Notes how many calls the reading of a whole day found that the tail should have found. Now
    /// and then a call is listed late; a tail that misses more calls than it finds is of no use.
    pub(super) fn judge(&mut self, missed: u64, now: Instant) {
        let found = std::mem::take(&mut self.found);
        if missed > found + 1 {
            self.distrust(
                "it misses calls that the reading of the whole day finds",
                now,
            );
        }
    }

    /// Notes that a day was read as a whole that started then: its calls that had settled by then
    /// are counted, or gone.
    pub(super) fn day_was_read(&mut self, day: &std::ops::Range<i64>, started: i64) {
        self.waiting
            .retain(|_, call| !day.contains(&call.start) || call.until > started);
    }

    /// Notes that the last tail did not come to its end, so that nothing says what it missed.
    pub(super) fn has_not_looked(&mut self) {
        self.seen = None;
        self.needed_rows = None;
    }
}

impl TailRun {
    /// Starts again with larger pages, if the first page was as small as requested and not enough:
    /// pages of two sizes do not join. True if it did.
    pub(super) fn restart(&mut self, page_rows: u32) -> bool {
        let restarts = self.pages == 1 && self.rows >= page_rows;
        if restarts {
            self.page_start = None;
            self.rows = 0;
            self.needed_rows = 0;
        }
        restarts
    }
}

/// The request of a tail from `yesterday` to the day after `today`.
pub(super) fn query(yesterday: Day, today: Day, page_rows: u32) -> CallsQuery {
    let last = today.date.tomorrow().unwrap_or(today.date);
    CallsQuery::days(yesterday.date, last)
        .sort("StartTime", SortDir::Desc)
        .page_size(page_rows)
}

/// The number of the first page to request.
pub(super) fn first_number(first: FirstPage) -> i64 {
    match first {
        FirstPage::Unknown | FirstPage::Zero => 0,
        FirstPage::One => 1,
        FirstPage::Fixed(number) => number.into(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;

    const NOON: i64 = 43_200 * 1_000_000;
    const MINUTE: i64 = 60 * 1_000_000;

    fn run(tail: &Tail, now: i64) -> TailRun {
        let yesterday = Day::of(date(1969, 12, 31), &TimeZone::UTC).unwrap();
        tail.start(yesterday, now)
    }

    fn row(start: i64, classification: Classification) -> TailRow {
        let waiting = (classification == Classification::Unsettled).then_some(Waiting {
            id: start.unsigned_abs(),
            start,
            until: start + 5 * MINUTE,
        });
        TailRow {
            id: start.unsigned_abs(),
            start: Some(start),
            classification,
            waiting,
        }
    }

    const NEW: Classification = Classification::New {
        late: false,
        unnamed: false,
    };

    #[test]
    fn a_page_whose_older_half_is_known_ends_the_tail() {
        let mut tail = Tail::default();
        let now = Instant::now();
        let mut first = run(&tail, NOON);
        let known = row(NOON - 9 * MINUTE, Classification::Known);
        let new = row(NOON - 9 * MINUTE, NEW);
        assert_eq!(tail.page(&mut first, &[new, new], now), NextPage::Request);
        let old = row(NOON - 31 * MINUTE, Classification::Known);
        assert_eq!(tail.page(&mut first, &[new, known], now), NextPage::Request);
        assert_eq!(tail.page(&mut first, &[new, old], now), NextPage::Done);
        tail.end(first);
        let call = Waiting {
            id: 1,
            start: NOON - MINUTE * 30,
            until: NOON - MINUTE,
        };
        assert_eq!(tail.finding(call), Finding::Missed);
        let unsettled = Waiting {
            until: NOON + 1,
            ..call
        };
        assert_eq!(tail.finding(unsettled), Finding::Expected);
        let deeper = Waiting {
            start: NOON - MINUTE * 32,
            ..call
        };
        assert_eq!(tail.finding(deeper), Finding::Deeper);
    }

    #[test]
    fn pages_are_as_large_as_the_tail_needs() {
        let mut tail = Tail::default();
        let now = Instant::now();
        assert_eq!(tail.page_rows(), PAGE_ROWS);
        // Eighty rows of the last 40 minutes, two a minute; 60 of them are in reach.
        let rows: Vec<TailRow> = (0..80)
            .map(|n| row(NOON - n * MINUTE / 2, Classification::Known))
            .collect();
        let mut full = run(&tail, NOON);
        assert_eq!(tail.page(&mut full, &rows, now), NextPage::Done);
        tail.end(full);
        assert_eq!(tail.page_rows(), 90);
        // A page of 40 is not enough: again with full pages, from the first one on.
        let mut small = run(&tail, NOON);
        assert_eq!(tail.page(&mut small, &rows[..40], now), NextPage::Request);
        assert!(!small.restart(90), "the server gave fewer rows than that");
        assert!(small.restart(40));
        assert_eq!(tail.page(&mut small, &rows, now), NextPage::Done);
        assert!(!small.restart(80), "only the first page");
        tail.end(small);
        assert_eq!(tail.page_rows(), 90);
        // Nobody calls: few rows are enough. After a failure it is not known how many are.
        let mut quiet = run(&tail, NOON + 60 * MINUTE);
        assert_eq!(tail.page(&mut quiet, &rows, now), NextPage::Done);
        tail.end(quiet);
        assert_eq!(tail.page_rows(), FEWEST_ROWS);
        tail.has_not_looked();
        assert_eq!(tail.page_rows(), PAGE_ROWS);
    }

    #[test]
    fn calls_that_have_settled_since_are_looked_for() {
        let mut tail = Tail::default();
        let now = Instant::now();
        let mut first = run(&tail, NOON);
        let old = row(NOON - 40 * MINUTE, Classification::Unsettled);
        // Its first sight: there may be more behind it.
        assert_eq!(tail.page(&mut first, &[old], now), NextPage::Request);
        assert_eq!(tail.page(&mut first, &[], now), NextPage::Done);
        tail.end(first);
        let mut second = run(&tail, NOON);
        let known = row(NOON - 35 * MINUTE, Classification::Known);
        assert_eq!(
            tail.page(&mut second, &[known, known], now),
            NextPage::Request
        );
        assert_eq!(tail.page(&mut second, &[old], now), NextPage::Done);
    }

    #[test]
    fn a_server_that_does_not_sort_is_found_out() {
        let mut tail = Tail::default();
        let now = Instant::now();
        let mut first = run(&tail, NOON);
        let rows = [row(NOON, NEW), row(NOON + 1, NEW)];
        assert_eq!(tail.page(&mut first, &rows, now), NextPage::GiveUp);
        assert!(!tail.is_trusted(now));
        assert!(tail.is_trusted(now + DISTRUST));
    }
}
