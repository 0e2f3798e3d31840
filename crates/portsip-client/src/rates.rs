//! The list of call rates, page by page.
//!
//! The API pages by the number of rows to skip. Without an order its pages overlap, so the rates
//! are sorted by prefix (prefixes are unique), and ids that came before are skipped. The vendor's
//! pages disagree on whether skipping counts from 0 or 1; an overlap of one row does no harm here.

use std::collections::HashSet;
use std::num::NonZeroU32;

use api_client::{Cap, Error, Number, Reason};
use bytes::Bytes;
use futures_util::Stream;
use serde::Deserialize;

use crate::generated::operations;
use crate::generated::types::{CallRate, CallRatePage, CallRateSummary};
use crate::session::Session;

const LIST: &str = operations::LIST_CALL_RATES.id;

/// The most rows that a page may hold.
const TOP: u32 = 100;

/// Which call rates.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RatesQuery {
    /// A filter in the API's syntax, such as `contains(prefix,'49')`.
    pub filter: Option<String>,
    /// Free text to search for.
    pub search: Option<String>,
    /// The order, `prefix` by default. Pages of another one may overlap or leave gaps while rates
    /// change.
    pub orderby: String,
    /// Rows to ask for on a page: 1 to 100.
    pub top: u32,
    /// The most rows to read; at that number the walk ends with [`Reason::Truncated`].
    pub max_rows: u64,
}

impl Default for RatesQuery {
    fn default() -> Self {
        Self {
            filter: None,
            search: None,
            orderby: "prefix".to_owned(),
            top: TOP,
            max_rows: 2_000_000,
        }
    }
}

impl RatesQuery {
    /// Only rates that match a filter in the API's syntax.
    #[must_use]
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.filter = Some(filter.into());
        self
    }

    /// Only rates that match a free text.
    #[must_use]
    pub fn search(mut self, search: impl Into<String>) -> Self {
        self.search = Some(search.into());
        self
    }

    /// Rows to ask for on a page: 1 to 100.
    #[must_use]
    pub fn top(mut self, rows: u32) -> Self {
        self.top = rows;
        self
    }

    /// The most rows to read.
    #[must_use]
    pub fn max_rows(mut self, rows: u64) -> Self {
        self.max_rows = rows;
        self
    }

    fn check(&self) -> Result<NonZeroU32, Error> {
        match NonZeroU32::new(self.top) {
            Some(top) if self.top <= TOP => Ok(top),
            _ => Err(Error::invalid_request(
                LIST,
                "top",
                format!("must be between 1 and {TOP}"),
            )),
        }
    }
}

/// A page of call rates.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RatesPage {
    /// The rates in the server's order, without those that came before; unreadable ones as errors
    /// in their place.
    pub rates: Vec<Result<CallRate, RowError>>,
    /// How many rates the server says there are in all.
    pub count: Option<i64>,
    /// Rows whose id came before.
    pub repeated: u64,
}

/// A row that cannot be read, beside others that can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {index} cannot be read: {reason}")]
pub struct RowError {
    /// The row's index in its page, or in the whole export, from 0.
    pub index: usize,
    /// What is wrong; never its content.
    pub reason: String,
}

impl Session {
    /// The call rates, page by page. The API's lists leave out the connect fee; [`Session::rate`]
    /// and [`Session::export`] have it.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::Session) -> Result<(), portsip_client::Error> {
    /// use portsip_client::RatesQuery;
    ///
    /// let mut pages = session.rates(&RatesQuery::default().filter("startswith(prefix,'49')"));
    /// while let Some(page) = pages.next().await {
    ///     for rate in page?.rates.into_iter().flatten() {
    ///         println!("{:?}: {:?} a minute", rate.prefix, rate.price_n);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn rates(&self, query: &RatesQuery) -> RatePages {
        RatePages::new(self.clone(), query.clone())
    }
}

/// A walk over the pages of a query; made by [`Session::rates`].
#[derive(Debug)]
pub struct RatePages {
    session: Session,
    query: RatesQuery,
    skip: i32,
    received: u64,
    collected: u64,
    count: Option<i64>,
    seen: HashSet<Box<str>>,
    done: bool,
}

impl RatePages {
    pub(crate) fn new(session: Session, query: RatesQuery) -> Self {
        Self {
            session,
            query,
            skip: 0,
            received: 0,
            collected: 0,
            count: None,
            seen: HashSet::new(),
            done: false,
        }
    }

    /// The next page; `None` after the last one, and after an error.
    pub async fn next(&mut self) -> Option<Result<RatesPage, Error>> {
        if self.done {
            return None;
        }
        let result = self.fetch().await;
        match &result {
            Ok(page) => {
                let missing = self
                    .count
                    .is_some_and(|count| i64::try_from(self.collected).unwrap_or(i64::MAX) < count);
                // A short page is the last one, unless the server counts more: it may send fewer
                // than asked for.
                let short = page.len_with_repeats() < u64::from(self.query.top);
                self.done = page.rates.is_empty() || (short && !missing);
            }
            Err(_) => self.done = true,
        }
        match result {
            Ok(page) if page.rates.is_empty() => None,
            result => Some(result),
        }
    }

    /// How many more rates the server counts than came; negative when more came. `None` when it
    /// does not count.
    pub fn shortfall(&self) -> Option<i64> {
        let collected = i64::try_from(self.collected).unwrap_or(i64::MAX);
        self.count.map(|count| count - collected)
    }

    /// The walk as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<RatesPage, Error>> + Send {
        futures_util::stream::unfold(self, |mut pages| async move {
            let page = pages.next().await?;
            Some((page, pages))
        })
    }

    async fn fetch(&mut self) -> Result<RatesPage, Error> {
        let top = self.query.check()?;
        if self.received >= self.query.max_rows {
            return Err(truncated(self.query.max_rows));
        }
        let reply = self
            .session
            .api()
            .list_call_rates(
                self.query.filter.as_deref(),
                Some(&self.query.orderby),
                self.query.search.as_deref(),
                Some(self.skip),
                Some(top),
            )
            .await?;
        let (count, rows) = reply.read_with(|reply| match reply.parse() {
            // Only a count of 0 tells an empty deck from an answer to something else.
            Ok(CallRatePage { items: None, count }) if count != Some(0) => {
                Err(reply.error(Reason::Unreadable {
                    content_type: None,
                    problem: "no list of rates".to_owned(),
                }))
            }
            Ok(page) => Ok(rows_of(page)),
            Err(error) => one_by_one(&reply.body).ok_or(error),
        })?;
        self.take_in(count, rows)
    }

    fn take_in(
        &mut self,
        count: Option<i64>,
        rows: Vec<Result<CallRate, RowError>>,
    ) -> Result<RatesPage, Error> {
        let received = rows.len();
        self.received += received as u64;
        self.count = count.or(self.count);
        self.skip = match i32::try_from(received)
            .ok()
            .and_then(|rows| self.skip.checked_add(rows))
        {
            Some(skip) => skip,
            None => return Err(truncated(u64::from(i32::MAX.unsigned_abs()))),
        };
        let seen = &mut self.seen;
        let rates: Vec<_> = rows
            .into_iter()
            .filter(|row| {
                let rate = row.as_ref().ok();
                // A rate without an id is known by its prefix.
                let key = rate.and_then(|rate| rate.id.as_ref().or(rate.prefix.as_ref()));
                key.is_none_or(|key| seen.insert(key.as_str().into()))
            })
            .collect();
        self.collected += rates.len() as u64;
        Ok(RatesPage {
            repeated: (received - rates.len()) as u64,
            rates,
            count,
        })
    }
}

impl RatesPage {
    fn len_with_repeats(&self) -> u64 {
        self.rates.len() as u64 + self.repeated
    }
}

fn truncated(limit: u64) -> Error {
    let cap = Cap::Rows;
    Error::new(LIST, Reason::Truncated { cap, limit })
}

type Rows = (Option<i64>, Vec<Result<CallRate, RowError>>);

fn rows_of(page: CallRatePage) -> Rows {
    let rows = page.items.unwrap_or_default();
    (
        page.count,
        rows.into_iter()
            .map(|row| Ok(CallRate::from(row)))
            .collect(),
    )
}

/// Reads a page row by row, after it could not be read as a whole; `None` when it is not a page.
fn one_by_one(body: &Bytes) -> Option<Rows> {
    #[derive(Deserialize)]
    struct Around {
        #[serde(default)]
        count: Number,
    }
    let (around, rows) = api_client::from_json_items::<Around, CallRate>(body, "items")?;
    let rows = rows.into_iter().enumerate().map(|(index, row)| {
        row.map_err(|error| RowError {
            index,
            // The messages of these types may quote the value, so only its place is given.
            reason: format!("a member of the wrong kind at column {}", error.column()),
        })
    });
    Some((around.count.whole().ok().flatten(), rows.collect()))
}

impl From<CallRateSummary> for CallRate {
    /// A summary has no connect fee: it is `None`, which is not zero.
    fn from(summary: CallRateSummary) -> Self {
        Self {
            connect_fee: None,
            description: summary.description,
            free_seconds: summary.free_seconds,
            grace_period: summary.grace_period,
            id: summary.id,
            interval_1: summary.interval_1,
            interval_n: summary.interval_n,
            postcall_surcharge: summary.postcall_surcharge,
            prefix: summary.prefix,
            price_1: summary.price_1,
            price_n: summary.price_n,
            type_: summary.type_,
        }
    }
}
