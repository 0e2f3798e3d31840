//! Walking over the pages of call records.
//!
//! The API does not document whether its first page is 0 or 1, how many rows a page can hold, or
//! whether it counts pages at all; and records move between pages while calls come in. So the walk
//! compares pages to find the first page's number, skips ids that came before, and ends only when
//! nothing new can be left.

use std::time::Instant;

use api_client::{Cap, Error, ErrorKind, Reason};
use futures_util::Stream;

use crate::calls::CallsPage;
use crate::client::Client;
use crate::generated::operations;
use crate::query::{CallsQuery, PageBase};
use crate::seen::SeenIds;

/// What a walk has seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Pages received.
    pub pages: u64,
    /// Rows received.
    pub rows: u64,
    /// Different ids among them.
    pub unique: u64,
    /// Rows whose id came before; they were skipped.
    pub repeated: u64,
    /// Rows without an id, and rows that could not be read. They were returned each time they came.
    pub without_id: u64,
    /// Body bytes received.
    pub bytes: u64,
    /// How many records the server says there are, as of its last answer.
    pub total_count: Option<i64>,
}

impl Summary {
    /// How many more records the server counts than came; negative when more came. `None` when it
    /// does not count.
    pub fn shortfall(&self) -> Option<i64> {
        let collected = i64::try_from(self.collected()).unwrap_or(i64::MAX);
        self.total_count.map(|total| total - collected)
    }

    fn collected(&self) -> u64 {
        self.unique + self.without_id
    }
}

impl Client {
    /// All calls that a query asks for, page by page. Nothing is sent before the first `next`.
    ///
    /// ```no_run
    /// # async fn example(client: &hostedsuite_client::Client) -> Result<(), hostedsuite_client::Error> {
    /// use hostedsuite_client::CallsQuery;
    ///
    /// let query = CallsQuery::on("2026-08-06".parse().unwrap()).page_size(1000);
    /// let mut pages = client.calls(&query);
    /// while let Some(page) = pages.next().await {
    ///     page?.for_each(|index, call| match call {
    ///         Ok(call) => println!("{index}: {:?} talked {:?} ms", call.id(), call.talk_time().duration_ms()),
    ///         Err(error) => eprintln!("{error}"),
    ///     });
    /// }
    /// // For the next walk on the same server: `query.page_base(pages.base())`.
    /// # Ok(())
    /// # }
    /// ```
    pub fn calls(&self, query: &CallsQuery) -> CallPages {
        CallPages::new(self.clone(), query.clone())
    }
}

/// A walk over the pages of a query; made by [`Client::calls`].
///
/// Pages come in the server's order. The walk ends after the last page, after an error, or with
/// [`Reason::Truncated`] when one of the query's [`Caps`](crate::Caps) is reached: the pages before
/// are good.
#[derive(Debug)]
pub struct CallPages {
    client: Client,
    query: CallsQuery,
    base: PageBase,
    next: Next,
    seen: SeenIds,
    summary: Summary,
    started: Option<Instant>,
}

/// Which page comes next, and what its answer can show.
#[derive(Debug)]
enum Next {
    /// The query has not been checked yet.
    Start,
    /// Page 0: it may be the first page, the first page under another number, or none.
    Zero,
    /// Page 1, after page 0 was refused (with this error) or empty.
    OneInsteadOfZero(Option<Error>),
    /// Page 1 after page 0: another page, or the same.
    OneAfterZero,
    /// Any later page.
    Page(i64),
    /// Page 0 after a walk from 1 that found less than the server counts.
    ZeroAfterAll,
    Done,
}

enum Step {
    Yield(Box<CallsPage>),
    Skip,
    Fail(Error),
}

impl CallPages {
    pub(crate) fn new(client: Client, query: CallsQuery) -> Self {
        Self {
            client,
            base: query.first_base(),
            query,
            next: Next::Start,
            seen: SeenIds::default(),
            summary: Summary::default(),
            started: None,
        }
    }

    /// The next page; `None` after the last one. Pages without a new row are skipped.
    pub async fn next(&mut self) -> Option<Result<CallsPage, Error>> {
        if matches!(self.next, Next::Start) {
            if let Err(error) = self.query.check() {
                self.next = Next::Done;
                return Some(Err(error));
            }
            self.next = match self.base {
                PageBase::One => Next::Page(1),
                PageBase::Unknown | PageBase::Zero => Next::Zero,
            };
        }
        loop {
            let number = match &self.next {
                Next::Start | Next::Done => return None,
                Next::Zero | Next::ZeroAfterAll => 0,
                Next::OneInsteadOfZero(_) | Next::OneAfterZero => 1,
                Next::Page(number) => *number,
            };
            if let Some(error) = self.cap() {
                self.next = Next::Done;
                return Some(Err(error));
            }
            self.started.get_or_insert_with(Instant::now);
            let answer = self.client.calls_page(&self.query, number).await;
            match self.step(number, answer) {
                Step::Yield(page) => return Some(Ok(*page)),
                Step::Skip => {}
                Step::Fail(error) => return Some(Err(error)),
            }
        }
    }

    /// What is known of the number of the first page.
    pub fn base(&self) -> PageBase {
        self.base
    }

    /// What the walk has seen so far.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The walk as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<CallsPage, Error>> + Send {
        futures_util::stream::unfold(self, |mut pages| async move {
            let page = pages.next().await?;
            Some((page, pages))
        })
    }

    fn cap(&self) -> Option<Error> {
        let caps = self.query.bounds();
        let reached =
            |cap, limit| Error::new(operations::LIST_CALLS.id, Reason::Truncated { cap, limit });
        if self.summary.pages >= caps.pages {
            return Some(reached(Cap::Pages, caps.pages));
        }
        if self.summary.rows >= caps.rows {
            return Some(reached(Cap::Rows, caps.rows));
        }
        if self.summary.bytes >= caps.bytes {
            return Some(reached(Cap::Bytes, caps.bytes));
        }
        if self.started?.elapsed() >= caps.time {
            return Some(reached(Cap::Time, caps.time.as_secs()));
        }
        None
    }

    fn step(&mut self, number: i64, answer: Result<CallsPage, Error>) -> Step {
        let asked = std::mem::replace(&mut self.next, Next::Done);
        let mut page = match (answer, asked) {
            // A server that counts from 1 may refuse 0.
            (Err(error), Next::Zero)
                if matches!(
                    error.kind(),
                    ErrorKind::Validation | ErrorKind::Server | ErrorKind::NotFound
                ) =>
            {
                self.next = Next::OneInsteadOfZero(Some(error));
                return Step::Skip;
            }
            // Both refused: the first error says what is wrong; the page number is not the cause.
            (Err(_), Next::OneInsteadOfZero(Some(first))) => return Step::Fail(first),
            (Err(_), Next::ZeroAfterAll) => return Step::Skip,
            (Err(error), _) => return Step::Fail(error),
            (Ok(page), asked) => {
                self.next = asked;
                page
            }
        };
        let asked = std::mem::replace(&mut self.next, Next::Done);
        let fresh = self.take_in(&mut page);
        match asked {
            Next::Zero if page.is_empty() => {
                if page.total_count().is_some() || page.total_pages().is_some() {
                    self.next = Next::OneInsteadOfZero(None);
                }
                return Step::Skip;
            }
            Next::OneInsteadOfZero(_) if page.is_empty() => return Step::Skip,
            Next::OneInsteadOfZero(_) => self.base = PageBase::One,
            // Most of page 1 was on page 0: it is the same page, moved a little by new calls.
            Next::OneAfterZero if page.repeated() * 2 >= page.len() && !page.is_empty() => {
                self.base = PageBase::One;
            }
            Next::OneAfterZero => self.base = PageBase::Zero,
            Next::ZeroAfterAll => {
                if fresh == 0 {
                    return Step::Skip;
                }
                self.base = PageBase::Zero;
                page.set_base(self.base);
                return Step::Yield(Box::new(page));
            }
            Next::Zero | Next::Page(_) | Next::Start | Next::Done => {}
        }
        // A page with nothing new ends the walk, except the page that showed the base.
        let same_as_zero = matches!(asked, Next::OneAfterZero) && self.base == PageBase::One;
        let ended = page.is_empty() || (fresh == 0 && !same_as_zero) || self.is_last(number, &page);
        self.next = if !ended {
            match asked {
                Next::Zero => Next::OneAfterZero,
                _ => Next::Page(number + 1),
            }
        } else if self.missed_page_zero() {
            Next::ZeroAfterAll
        } else {
            Next::Done
        };
        page.set_base(self.base);
        if fresh == 0 {
            Step::Skip
        } else {
            Step::Yield(Box::new(page))
        }
    }

    /// Counts a page's rows and marks the repeated ones; returns how many are new.
    fn take_in(&mut self, page: &mut CallsPage) -> usize {
        let mut repeated = Vec::with_capacity(page.len());
        for id in page.ids() {
            repeated.push(match id {
                None => {
                    self.summary.without_id += 1;
                    false
                }
                Some(id) if self.seen.insert(id) => {
                    self.summary.unique += 1;
                    false
                }
                Some(_) => {
                    self.summary.repeated += 1;
                    true
                }
            });
        }
        self.summary.pages += 1;
        self.summary.rows += page.len() as u64;
        self.summary.bytes += page.bytes();
        if page.total_count().is_some() {
            self.summary.total_count = page.total_count();
        }
        page.pass_over(repeated);
        page.len() - page.repeated()
    }

    /// Whether the server's own counts say that this was the last page.
    fn is_last(&self, number: i64, page: &CallsPage) -> bool {
        let position = if self.base == PageBase::One {
            number
        } else {
            number + 1
        };
        if page.total_pages().is_some_and(|pages| position >= pages) {
            return true;
        }
        // Another page may follow a full one, whatever the count says.
        let short = (page.len() as u64) < u64::from(self.query.asked_page_size());
        short && self.summary.shortfall().is_some_and(|missing| missing <= 0)
    }

    /// Whether a remembered base of 1 may have been wrong.
    fn missed_page_zero(&self) -> bool {
        self.query.first_base() == PageBase::One
            && self.summary.shortfall().is_some_and(|missing| missing > 0)
    }
}
