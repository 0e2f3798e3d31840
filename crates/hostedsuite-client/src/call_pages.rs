//! Requests the pages of a query one after the other, until a [`Walk`] has proven them complete.

use std::time::Duration;

use api_client::{Cap, Error, ErrorKind, Reason};
use futures_util::Stream;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::calls::CallsPage;
use crate::client::Client;
use crate::generated::operations;
use crate::query::{CallsQuery, Caps};
use crate::walk::{Ending, FirstPage, Next, PageRows, Position, Walk};

/// The id of the operation that lists calls, as in [`RequestEvent`](crate::RequestEvent).
pub const LIST_CALLS_ID: &str = operations::LIST_CALLS.id;

/// What has been received so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Pages received.
    pub pages: u64,
    /// Rows received, including rows that came twice and rows that cannot be read.
    pub rows: u64,
    /// Bytes of bodies received.
    pub bytes: u64,
}

impl Client {
    /// All calls of a query, page by page. Nothing is sent before the first `next`.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     client: &hostedsuite_client::Client,
    /// # ) -> Result<(), hostedsuite_client::Error> {
    /// use hostedsuite_client::{CallsQuery, Ending};
    ///
    /// let query = CallsQuery::on("2026-08-06".parse().unwrap()).page_size(1000);
    /// let mut pages = client.calls(&query);
    /// while let Some(page) = pages.next().await {
    ///     page?.for_each(|index, call| match call {
    ///         Ok(call) => println!("{index}: {:?}", call.id()),
    ///         Err(error) => eprintln!("{error}"),
    ///     });
    /// }
    /// if let Some(Ending::Incomplete(shortfall)) = pages.ending() {
    ///     eprintln!("calls are missing: {shortfall}");
    /// }
    /// // For the next walk on the same server: `query.first_page(pages.first_page())`.
    /// # Ok(())
    /// # }
    /// ```
    pub fn calls(&self, query: &CallsQuery) -> CallPages {
        CallPages::new(self.clone(), query.clone())
    }
}

/// The pages of a query; [`Client::calls`] creates it.
///
/// Every page with rows is returned, in the server's order. A row may come on two pages, because
/// rows move while calls come in; its id shows it. After the last page, [`ending`](Self::ending)
/// says whether the pages are proven to be complete.
///
/// A cap of the query ([`Caps`](crate::Caps)) interrupts the walk with [`Reason::Truncated`]. All
/// pages before it are valid. The walk can [`go_on`](Self::go_on) later, or another one can
/// [`resume`](Self::resume) at the [`position`](Self::position). Any other error ends it.
#[derive(Debug)]
pub struct CallPages {
    client: Client,
    query: CallsQuery,
    walk: Walk,
    resumed_at: Option<Position>,
    /// The refusal that the walk ends with, unless other pages make up for it.
    refusal: Option<Error>,
    last_was_refused: bool,
    failed: bool,
    /// Whether the server said of a page that there is no content.
    no_content: bool,
    summary: Summary,
    date: Option<Timestamp>,
    started: Option<Instant>,
}

impl CallPages {
    pub(crate) fn new(client: Client, query: CallsQuery) -> Self {
        let query = query.sorted_for_walk();
        Self {
            client,
            walk: Walk::new(query.rows_per_page(), query.known_first_page())
                .server_counts(query.known_to_count()),
            query,
            resumed_at: None,
            refusal: None,
            last_was_refused: false,
            failed: false,
            no_content: false,
            summary: Summary::default(),
            date: None,
            started: None,
        }
    }

    /// Continues where another walk over the same query was interrupted.
    #[must_use]
    pub fn resume(mut self, position: Position) -> Self {
        self.walk = Walk::resume(
            self.query.rows_per_page(),
            self.query.known_first_page(),
            position,
        )
        .server_counts(self.query.known_to_count());
        self.resumed_at = Some(position);
        self
    }

    /// Lets a walk that a cap interrupted go on, within `caps` from now on. Unlike a walk that
    /// resumes at a [`position`](Self::position), it still knows the rows that it has seen.
    pub fn go_on(&mut self, caps: Caps) {
        self.query = self.query.clone().caps(caps);
        self.summary = Summary::default();
        self.started = None;
        self.resumed_at = self.position();
        self.failed = false;
    }

    /// The next page with rows; `None` after the last one.
    pub async fn next(&mut self) -> Option<Result<CallsPage, Error>> {
        loop {
            match self.next_answer().await? {
                Ok(None) => {}
                Ok(Some(page)) => return Some(Ok(page)),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Sends one request: the next page, or no page if the answer has no rows. `None` without a
    /// request after the last page.
    pub async fn next_answer(&mut self) -> Option<Result<Option<CallsPage>, Error>> {
        if self.failed {
            return None;
        }
        let number = match self.walk.next() {
            Next::Request(number) => number,
            Next::Ended(Ending::Refused) => return self.refusal.take().map(Err),
            Next::Ended(_) => return None,
        };
        match self.request(number).await {
            Ok(page) => {
                self.receive(&page);
                self.last_was_refused = false;
                Some(Ok((!page.is_empty()).then_some(page)))
            }
            Err(error) if may_be_about_number(&error) => {
                self.walk.refused();
                self.last_was_refused = true;
                // If page 1 is refused like page 0, the number was not the reason.
                if number != 1 || self.refusal.is_none() {
                    self.refusal = Some(error);
                }
                Some(Ok(None))
            }
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }

    /// How the walk ended; `None` while it continues, and after a cap or another error ended it
    /// early. [`Ending::Refused`] follows the error of a refused page.
    pub fn ending(&self) -> Option<Ending> {
        match self.walk.next() {
            Next::Request(_) => None,
            Next::Ended(ending) => Some(ending),
        }
    }

    /// Where another walk over the same query can continue after this one was interrupted; `None`
    /// if it has to start over.
    pub fn position(&self) -> Option<Position> {
        self.walk.position()
    }

    /// What is known of the number of the first page.
    pub fn first_page(&self) -> FirstPage {
        self.walk.first_page()
    }

    /// Whether the server is known to count rows now.
    pub fn server_counts(&self) -> bool {
        self.walk.has_counted()
    }

    /// The refusal of a page that the walk has not made up for, if any.
    pub fn take_refusal(&mut self) -> Option<Error> {
        self.refusal.take()
    }

    /// Whether the page requested last was refused.
    pub fn is_refused(&self) -> bool {
        self.last_was_refused
    }

    /// Whether the server orders rows differently from page to page, so that some may be missing
    /// although they add up.
    pub fn is_reordered(&self) -> bool {
        self.walk.is_reordered()
    }

    /// The rows that the server counts, if it counts.
    pub fn count(&self) -> Option<u64> {
        self.walk.count()
    }

    /// Whether nothing says that there are no rows: no count, and no answer that stands for an
    /// empty list (204). A server that counts rows says so of an empty range, too.
    pub fn is_unstated(&self) -> bool {
        self.walk.count().is_none() && !self.no_content
    }

    /// The time of the server's clock in its last answer.
    pub fn date(&self) -> Option<Timestamp> {
        self.date
    }

    /// What has been received so far, since the walk last went on.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The pages as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<CallsPage, Error>> + Send {
        futures_util::stream::unfold(self, |mut pages| async move {
            let page = pages.next().await?;
            Some((page, pages))
        })
    }

    /// Requests a page within the caps. The request gets no more time than the walk has left.
    async fn request(&mut self, number: i64) -> Result<CallsPage, Error> {
        self.query.check()?;
        self.check_caps()?;
        let limit = self.query.bounds().time;
        let started = *self.started.get_or_insert_with(Instant::now);
        let left = limit.saturating_sub(started.elapsed());
        let answer = self.client.calls_page(&self.query, number);
        match tokio::time::timeout(left, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(out_of_time(limit)),
        }
    }

    fn receive(&mut self, page: &CallsPage) {
        self.date = page.date().or(self.date);
        self.no_content |= page.is_no_content();
        self.summary.pages += 1;
        self.summary.rows += page.len() as u64;
        self.summary.bytes += page.bytes();
        self.walk.received(PageRows {
            rows: page.row_hashes(),
            total_count: page.total_count(),
            total_pages: page.total_pages(),
        });
    }

    fn check_caps(&self) -> Result<(), Error> {
        let caps = self.query.bounds();
        let elapsed = self.started.map_or(Duration::ZERO, |start| start.elapsed());
        if elapsed >= caps.time {
            return Err(out_of_time(caps.time));
        }
        // A walk that resumes reads a page again. Without a further one, it would never end.
        let position = self.position();
        if position.is_none() || position == self.resumed_at {
            return Ok(());
        }
        for (cap, received, limit) in [
            (Cap::Pages, self.summary.pages, caps.pages),
            (Cap::Rows, self.summary.rows, caps.rows),
            (Cap::Bytes, self.summary.bytes, caps.bytes),
        ] {
            if received >= limit {
                return Err(truncated(cap, limit));
            }
        }
        Ok(())
    }
}

fn truncated(cap: Cap, limit: u64) -> Error {
    Error::new(operations::LIST_CALLS.id, Reason::Truncated { cap, limit })
}

fn out_of_time(limit: Duration) -> Error {
    truncated(Cap::Time, limit.as_secs())
}

/// Whether a server may refuse a page in this way because of its number.
fn may_be_about_number(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Validation | ErrorKind::Server | ErrorKind::NotFound
    )
}
