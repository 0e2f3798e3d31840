//! Proof that the pages of a range were read to the end.
//!
//! The API does not document whether its first page is 0 or 1, how many rows a page holds at most,
//! or whether it counts rows at all, and rows move between pages while calls come in. A [`Walk`]
//! decides which page to request next and when nothing can be missing. It sends nothing itself.
//!
//! A short page, `TotalPages` and an error are hints, never proof. What proves a range complete:
//!
//! - **With a count:** the pages were read in order from the first, and their rows add up to the
//!   count that the server states. If the count shrank while the pages were read, or grew without a
//!   different row for each one it counts, nothing is proven.
//! - **Without a count:** pages 0 and 1 were both requested, and the walk reached two empty pages
//!   in a row, or two pages in a row that repeat the page before.

use std::collections::HashSet;

use crate::known_rows::Hashed;

/// What is known of the number of a server's first page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FirstPage {
    /// Not known. A walk starts at page 0 and finds out.
    #[default]
    Unknown,
    /// Proven to be 0: pages 0 and 1 had different rows.
    Zero,
    /// Proven to be 1: page 0 was empty, refused, or the same as page 1 (and page 2 was not), and
    /// nothing was missing.
    One,
    /// Configured. A walk neither tries another number nor forgets this one.
    Fixed(u32),
}

/// What a walk needs to know of a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageRows<'a> {
    /// A hash for each row in the server's order: of its id, or of the whole row if it has none.
    pub(crate) rows: &'a [u64],
    /// The server's `TotalCount`, if it states one.
    pub(crate) total_count: Option<i64>,
    /// The server's `TotalPages`, if it states it.
    pub(crate) total_pages: Option<i64>,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Request the page with this number.
    Request(i64),
    /// The walk has ended.
    Ended(Ending),
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nothing is missing.
    Complete,
    /// Something may be missing; the range has to be read again.
    Incomplete(Shortfall),
    /// A page was refused, so the range was not read.
    Refused,
}

/// Why a walk could not prove its range complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Shortfall {
    /// The pages ended before the rows that the server counts.
    #[error("had {had} of {count} rows")]
    Missing {
        /// Rows received.
        had: u64,
        /// Rows that the server counts.
        count: u64,
    },
    /// The list changed while it was read, so rows may have moved to pages already read.
    #[error(
        "the list changed while it was read, so rows may have moved to pages already read: {had} \
         different rows came, and the server counts {count}"
    )]
    Changed {
        /// Different rows received.
        had: u64,
        /// Rows that the server counts.
        count: u64,
    },
    /// A page was empty, and the next one has rows.
    #[error("page {page} was empty, but the next page has rows")]
    Gap {
        /// The number of the empty page.
        page: i64,
    },
    /// The server returns the same full page whatever number is requested.
    #[error("the server returns the same {rows} rows for every page")]
    SamePage {
        /// Rows of that page.
        rows: u64,
    },
}

/// Where an interrupted walk continues: at the last page it received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// The number of that page.
    pub page: i64,
    /// Rows on the pages before it.
    pub rows: u64,
    /// The server's count at that time, if the walk used it. If it has changed, the walk starts
    /// over.
    pub count: Option<u64>,
}

/// What page 0 turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PageZero {
    NotRequested,
    Refused,
    Empty,
    HasRows,
    /// Page 1 has the same rows.
    SameAsOne,
}

/// A walk over the pages of one range.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a walk")]
pub(crate) struct Walk {
    page_size: usize,
    first: FirstPage,
    zero: PageZero,
    next: Next,
    /// The page received last, its rows, and the number of rows before it.
    last_number: i64,
    last: Vec<u64>,
    before_last: u64,
    /// How many pages in a row repeated `last`.
    repeats: u8,
    /// Whether the page received last was empty, and only the next one tells whether it is the end.
    maybe_gap: bool,
    rows: u64,
    seen: HashSet<u64, Hashed>,
    /// Whether `seen` holds every row: not after a walk was resumed.
    seen_all: bool,
    /// Whether rows came again that do not merely continue the page before.
    reordered: bool,
    /// Whether the page received last had a row that no page before it had.
    added: bool,
    count: Count,
    /// Whether the server is known to count rows.
    server_counts: bool,
    resumed: Option<Position>,
}

/// What the server has said about the number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    stated: Option<u64>,
    grew: bool,
    shrank: bool,
    /// More rows came than it counts.
    wrong: bool,
}

impl Walk {
    /// A walk from the first page, for pages of `page_size` rows.
    pub(crate) fn new(page_size: usize, first: FirstPage) -> Self {
        Self {
            page_size,
            first,
            zero: PageZero::NotRequested,
            next: Next::Request(first_number(first)),
            last_number: -1,
            last: Vec::new(),
            before_last: 0,
            repeats: 0,
            maybe_gap: false,
            rows: 0,
            seen: HashSet::default(),
            seen_all: true,
            reordered: false,
            added: false,
            count: Count::default(),
            server_counts: false,
            resumed: None,
        }
    }

    /// A walk that continues where another one was interrupted.
    pub(crate) fn resume(page_size: usize, first: FirstPage, position: Position) -> Self {
        let mut walk = Self::new(page_size, first);
        // After the first page, its number no longer matters. If it was unknown, it stays unknown.
        walk.zero = PageZero::HasRows;
        walk.next = Next::Request(position.page);
        walk.rows = position.rows;
        walk.seen_all = position.rows == 0;
        walk.count.stated = position.count;
        walk.resumed = Some(position);
        walk
    }

    /// Whether the server is known to count rows, from an earlier walk.
    pub(crate) fn server_counts(mut self, known: bool) -> Self {
        self.server_counts = known;
        self
    }

    /// Whether the server has counted rows in this walk.
    pub(crate) fn has_counted(&self) -> bool {
        self.server_counts || (self.rows > 0 && self.count() == Some(self.rows))
    }

    /// What to do next.
    pub(crate) fn next(&self) -> Next {
        self.next
    }

    /// What is known of the first page's number now. After a walk that fell short it is unknown
    /// again.
    pub(crate) fn first_page(&self) -> FirstPage {
        match (self.next, self.first) {
            (_, FirstPage::Fixed(_)) => self.first,
            (Next::Ended(Ending::Incomplete(Shortfall::Missing { .. })), _)
            | (Next::Ended(Ending::Refused), FirstPage::One) => FirstPage::Unknown,
            (_, first) => first,
        }
    }

    /// Whether the order of rows changed from page to page. Then rows may be missing although they
    /// add up.
    pub(crate) fn is_reordered(&self) -> bool {
        self.reordered
    }

    /// The count that the server stated last; `None` if it states none or a wrong one.
    pub(crate) fn count(&self) -> Option<u64> {
        self.count.stated.filter(|_| !self.count.wrong)
    }

    /// Where to continue if the walk is interrupted now; `None` before the second page.
    pub(crate) fn position(&self) -> Option<Position> {
        (self.last_number > 0 && !self.last.is_empty() && self.repeats == 0).then_some(Position {
            page: self.last_number,
            rows: self.before_last,
            count: self.count(),
        })
    }

    /// The server refused the requested page in a way that may be about its number.
    pub(crate) fn refused(&mut self) {
        let Next::Request(number) = self.next else {
            return;
        };
        if number == 0 && self.first == FirstPage::One {
            // Page 1 is proven to come first, and the server counts no further row.
            let ending = if self.count() == Some(self.rows) {
                Ending::Complete
            } else {
                Ending::Refused
            };
            self.next = Next::Ended(ending);
            return;
        }
        if self.maybe_gap {
            // An empty page was there, and the server has nothing behind it.
            self.next = self.end();
            return;
        }
        let may_try_one = number == 0 && self.zero == PageZero::NotRequested && self.rows == 0;
        self.next = if may_try_one && !self.is_fixed() {
            self.zero = PageZero::Refused;
            Next::Request(1)
        } else if number > 0 && self.count() == Some(self.rows) && self.count_is_real() {
            // All counted rows are there. The page was requested only because the count might be
            // wrong.
            self.end()
        } else {
            Next::Ended(Ending::Refused)
        };
    }

    /// Takes the requested page.
    pub(crate) fn received(&mut self, page: PageRows<'_>) {
        let Next::Request(number) = self.next else {
            return;
        };
        let stated = self.stated(&page);
        if let Some(position) = self.resumed.take() {
            let changed = position.count.is_some() && stated != position.count;
            if changed || page.rows.is_empty() {
                let again = Self::new(self.page_size, self.first);
                *self = again.server_counts(self.server_counts);
                return;
            }
            // A count that the walk did not use before the interruption is not used now.
            self.count.wrong = position.count.is_none();
        }
        self.count.update(stated);
        if number == 0 && self.first == FirstPage::One {
            self.next = self.page_zero_at_last(page.rows);
            return;
        }
        let repeats_last = number > 0 && !page.rows.is_empty() && page.rows == self.last;
        let after_empty = std::mem::take(&mut self.maybe_gap);
        self.next = if after_empty && !page.rows.is_empty() {
            let page = number - 1;
            Next::Ended(Ending::Incomplete(Shortfall::Gap { page }))
        } else if page.rows.is_empty() {
            self.empty_page(number)
        } else if repeats_last {
            self.repeated_page(number)
        } else if number == 1
            && self.zero == PageZero::Empty
            && self.first == FirstPage::Zero
            && self.count().is_none_or(|count| count == 0)
        {
            // Page 0 comes first on this server, so it has rows on a day with a page 1.
            Next::Ended(Ending::Incomplete(Shortfall::Gap { page: 0 }))
        } else {
            self.add(number, page.rows);
            self.after_rows(number, &page)
        };
    }

    /// Page 0, requested after the others because only they were known to have rows.
    fn page_zero_at_last(&mut self, rows: &[u64]) -> Next {
        self.zero = if rows.is_empty() {
            PageZero::Empty
        } else {
            PageZero::HasRows
        };
        if rows.iter().any(|row| !self.seen.contains(row)) {
            self.first = FirstPage::Unknown;
            self.rows += rows.len() as u64;
        }
        Next::Ended(Ending::Complete)
    }

    /// The count that a page states. Servers that do not count state 0, even if the page has rows.
    fn stated(&self, page: &PageRows<'_>) -> Option<u64> {
        let count = u64::try_from(page.total_count?).ok()?;
        (count > 0 || (page.rows.is_empty() && self.rows == 0)).then_some(count)
    }

    fn empty_page(&mut self, number: i64) -> Next {
        // Without a count, an empty page behind others may be one that the server failed to fill.
        if self.count().is_none() && self.rows > 0 && number == self.last_number + 1 {
            self.maybe_gap = true;
            return Next::Request(number + 1);
        }
        if self.is_fixed() {
            return self.end();
        }
        if number == 0 {
            self.zero = PageZero::Empty;
            return Next::Request(1);
        }
        if number == 1 && self.zero == PageZero::Refused {
            // Nothing shows that page 0 was refused because of its number.
            return Next::Ended(Ending::Refused);
        }
        if number == 2 && self.zero == PageZero::SameAsOne && self.count() == Some(self.rows) {
            // A server that repeats its last page would have repeated it for page 2, too.
            self.prove(FirstPage::One);
        }
        self.end()
    }

    fn repeated_page(&mut self, number: i64) -> Next {
        self.repeats += 1;
        if number == 1 && self.first == FirstPage::Unknown {
            self.zero = PageZero::SameAsOne;
        }
        if self.repeats < 2 {
            return Next::Request(number + 1);
        }
        if self.count().is_none() && self.last.len() >= self.page_size {
            let rows = self.last.len() as u64;
            return Next::Ended(Ending::Incomplete(Shortfall::SamePage { rows }));
        }
        self.end()
    }

    fn add(&mut self, number: i64, rows: &[u64]) {
        if number == 1
            && self.zero == PageZero::HasRows
            && self.last_number == 0
            && !rows.iter().any(|row| self.seen.contains(row))
        {
            self.prove(FirstPage::Zero);
        }
        if number == 2 && self.zero == PageZero::SameAsOne {
            self.prove(FirstPage::One);
        }
        if number == 0 {
            self.zero = PageZero::HasRows;
        }
        // A list that has grown pushes rows down to the next page. Otherwise rows that come again
        // show that the order changes, so that others may not have come at all. Without a count,
        // rows of the page before that come again in their order are taken for pushed.
        let mut again = rows.iter().filter(|row| self.seen.contains(row));
        let is_pushed = if self.count.stated.is_some() {
            self.count.grew || again.next().is_none()
        } else {
            let mut before = self.last.iter();
            again.all(|row| before.any(|last| last == row))
        };
        self.reordered |= !is_pushed;
        self.added = rows.iter().any(|row| !self.seen.contains(row));
        self.before_last = self.rows;
        self.last_number = number;
        self.last.clear();
        self.last.extend_from_slice(rows);
        self.repeats = 0;
        self.rows += rows.len() as u64;
        self.seen.extend(rows);
        let different = if self.seen_all {
            self.seen.len() as u64
        } else {
            self.rows
        };
        if self.count.stated.is_some_and(|count| different > count) && !self.count.shrank {
            self.count.wrong = true;
        }
    }

    fn after_rows(&mut self, number: i64, page: &PageRows<'_>) -> Next {
        let Some(count) = self.count() else {
            return Next::Request(number + 1);
        };
        let pages_read = number + 1 - self.first_number();
        let hints_at_more = page.rows.len() >= self.page_size
            || page.total_pages.is_some_and(|pages| pages > pages_read);
        // Rows that came twice may stand for others, which are on a later page then.
        let different = self.seen.len() as u64;
        let may_hide_more = self.seen_all && self.added && different < count;
        if self.rows < count || hints_at_more || may_hide_more {
            Next::Request(number + 1)
        } else {
            self.end()
        }
    }

    /// The number of the page that comes first, as far as this walk knows.
    fn first_number(&self) -> i64 {
        match self.zero {
            PageZero::Refused | PageZero::Empty => 1,
            _ => first_number(self.first),
        }
    }

    /// Whether the count says something. Servers that do not count state 0, which an empty page 0
    /// does not contradict: the rows may be on page 1.
    fn count_is_real(&self) -> bool {
        self.rows > 0 || self.server_counts || self.first == FirstPage::Zero
    }

    fn is_fixed(&self) -> bool {
        matches!(self.first, FirstPage::Fixed(_))
    }

    /// The pages have ended: what that proves.
    fn end(&mut self) -> Next {
        match (self.count(), self.zero) {
            // Servers that do not count state 0, too.
            (None | Some(0), PageZero::NotRequested) if !self.is_fixed() => Next::Request(0),
            (Some(count), _) => Next::Ended(self.end_with_count(count)),
            // Only a count proves that a refused page 0 held nothing.
            (None, PageZero::Refused) => Next::Ended(Ending::Refused),
            (None, _) => Next::Ended(Ending::Complete),
        }
    }

    fn end_with_count(&mut self, count: u64) -> Ending {
        let different = self.seen.len() as u64;
        let changed =
            self.count.shrank || (self.count.grew && (!self.seen_all || different < count));
        if changed {
            return Ending::Incomplete(Shortfall::Changed {
                had: different,
                count,
            });
        }
        if self.rows < count {
            return Ending::Incomplete(Shortfall::Missing {
                had: self.rows,
                count,
            });
        }
        if self.rows > 0 && matches!(self.zero, PageZero::Refused | PageZero::Empty) {
            self.prove(FirstPage::One);
        }
        Ending::Complete
    }

    fn prove(&mut self, first: FirstPage) {
        if self.first == FirstPage::Unknown {
            self.first = first;
        }
    }
}

impl Count {
    fn update(&mut self, stated: Option<u64>) {
        let Some(now) = stated else { return };
        if let Some(before) = self.stated {
            self.grew |= now > before;
            self.shrank |= now < before;
        }
        self.stated = Some(now);
    }
}

fn first_number(first: FirstPage) -> i64 {
    match first {
        FirstPage::Unknown | FirstPage::Zero => 0,
        FirstPage::One => 1,
        FirstPage::Fixed(number) => number.into(),
    }
}

#[cfg(test)]
mod tests;
