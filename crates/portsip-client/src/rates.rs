//! The list of call rates, page by page.
//!
//! The API pages by rows to skip. Without an order its pages overlap, so prefixes are asked for in theirs (they are
//! unique), and ids that came before are passed over. Whether skipping counts from 0 or 1 is stated both ways; an
//! overlap of one row costs nothing here.

use std::collections::HashSet;
use std::num::NonZeroU32;

use api_client::{Cap, Error, Number};
use bytes::Bytes;
use futures_util::Stream;
use serde::Deserialize;

use crate::generated::types::{CallRatePage, CallRateSummary};
use crate::{CallRate, Session};

const LIST: &str = "list_call_rates";

/// The most rows that a page may hold.
const TOP: u32 = 100;

/// Which call rates.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RatesQuery {
    /// A filter in the API's words, such as `contains(prefix,'49')`.
    pub filter: Option<String>,
    /// Free text to search for.
    pub search: Option<String>,
    /// The order, `prefix` by default. Pages of another one may overlap or leave gaps while rates change.
    pub orderby: String,
    /// Rows to ask for on a page: 1 to 100.
    pub top: u32,
    /// The most rows to take; reaching it ends the walk with [`Error::Truncated`].
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
    /// Only rates that match a filter in the API's words.
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

    /// The most rows to take.
    #[must_use]
    pub fn max_rows(mut self, rows: u64) -> Self {
        self.max_rows = rows;
        self
    }

    fn check(&self) -> Result<NonZeroU32, Error> {
        match NonZeroU32::new(self.top) {
            Some(top) if self.top <= TOP => Ok(top),
            _ => Err(Error::InvalidRequest {
                operation: LIST,
                field: "top",
                problem: format!("must be between 1 and {TOP}"),
            }),
        }
    }
}

/// A page of call rates.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RatesPage {
    /// The rates in the server's order, without those that came before; unreadable ones as errors in their place.
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
                // A short page is the last one, unless the server counts more: it may send fewer than asked for.
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

    /// How many more rates the server counts than came; negative when more came. `None` when it does not count.
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
            return Err(Error::Truncated {
                operation: LIST,
                cap: Cap::Rows,
                limit: self.query.max_rows,
            });
        }
        let skip = self.skip;
        let query = &self.query;
        let answer = self
            .session
            .call_keeping_body(LIST, |api| {
                let query = query.clone();
                async move {
                    api.list_call_rates(
                        query.filter.as_deref(),
                        Some(&query.orderby),
                        query.search.as_deref(),
                        Some(skip),
                        Some(top),
                    )
                    .await
                }
            })
            .await;
        let (count, rows) = match answer {
            // Without a list there is no telling an empty deck from an answer to something else: only a count of 0 can.
            Ok(CallRatePage { items: None, count }) if count != Some(0) => {
                return Err(Error::Unreadable {
                    operation: LIST,
                    status: 200,
                    content_type: None,
                    reason: "no list of rates".to_owned(),
                });
            }
            Ok(page) => rows_of(page),
            Err(failed) => match failed.body.as_ref().and_then(one_by_one) {
                Some(rows) => rows,
                None => return Err(failed.error),
            },
        };
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
            None => {
                return Err(Error::Truncated {
                    operation: LIST,
                    cap: Cap::Rows,
                    limit: u64::from(i32::MAX.unsigned_abs()),
                });
            }
        };
        let seen = &mut self.seen;
        let rates: Vec<_> = rows
            .into_iter()
            .filter(|row| match row {
                Ok(CallRate { id: Some(id), .. }) => seen.insert(id.as_str().into()),
                _ => true,
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

/// Reads a page whose whole cannot be read, row by row; `None` when it is no page at all.
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
            // The messages of these types say what is expected, and may quote what came: the place has to do.
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
