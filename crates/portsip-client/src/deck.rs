//! All call rates with all their members: from the export, or rate by rate.

use api_client::{Amount, Error, ErrorKind, Reason, ResourceId};

use crate::csv_export::ExportedRates;
use crate::export_columns::MissingColumns;
use crate::generated::operations;
use crate::generated::types::CallRate;
use crate::rates::{RatesQuery, RowError};
use crate::session::Session;

/// All call rates of a tenant.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Deck {
    /// The rates; unreadable ones as errors in their place.
    pub rates: Vec<Result<CallRate, RowError>>,
    /// Where they come from.
    pub source: DeckSource,
}

/// Where a deck comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeckSource {
    /// The export: one request.
    Export,
    /// The list and one request for each rate, because the export cannot be used.
    ListAndDetails(WhyNoExport),
}

/// Why the export cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhyNoExport {
    /// Not all of its columns can be recognized.
    #[error(transparent)]
    Columns(MissingColumns),
    /// The server has no export, refuses it to this login, or sends something else.
    #[error(transparent)]
    Failed(Error),
}

impl Session {
    /// All call rates with all their members: from the export or, where that fails or cannot be
    /// understood, from the list and one request for each rate. The source tells which, and why. A
    /// deck is complete except for rows that cannot be read: a list shorter than the server's own
    /// count is an error.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::Session) -> Result<(), portsip_client::Error> {
    /// use portsip_client::DeckSource;
    ///
    /// let deck = session.deck().await?;
    /// if let DeckSource::ListAndDetails(why) = &deck.source {
    ///     eprintln!("read rate by rate: {why}");
    /// }
    /// println!("{} rates", deck.rates.len());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn deck(&self) -> Result<Deck, Error> {
        let why = match self.export().await {
            Ok(ExportedRates::Rates(mut export)) => {
                let mut rates = Vec::new();
                while let Some(rate) = export.next().await {
                    rates.push(rate?);
                }
                return Ok(Deck {
                    rates: checked(rates),
                    source: DeckSource::Export,
                });
            }
            Ok(ExportedRates::NoColumns(missing)) => WhyNoExport::Columns(missing),
            Err(error) => match error.kind() {
                ErrorKind::NotFound
                | ErrorKind::PermissionDenied
                | ErrorKind::Validation
                | ErrorKind::Html
                | ErrorKind::Unreadable => WhyNoExport::Failed(error),
                _ => return Err(error),
            },
        };
        Ok(Deck {
            rates: checked(self.list_and_details().await?),
            source: DeckSource::ListAndDetails(why),
        })
    }

    /// How many rates the server's list counts; `None` when it does not count, or has no list for
    /// this login.
    ///
    /// ```no_run
    /// # async fn example(session: &portsip_client::Session) -> Result<(), portsip_client::Error> {
    /// let deck = session.deck().await?;
    /// if session.count_rates().await? > Some(deck.rates.len() as u64) {
    ///     eprintln!("the deck is not complete");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn count_rates(&self) -> Result<Option<u64>, Error> {
        let mut pages = self.rates(&RatesQuery::default().top(1));
        let (listed, count) = match pages.next().await {
            Some(Ok(page)) => (page.rates.len() as u64, page.count),
            Some(Err(error)) => match error.kind() {
                ErrorKind::NotFound
                | ErrorKind::PermissionDenied
                | ErrorKind::Validation
                | ErrorKind::Html
                | ErrorKind::Unreadable => return Ok(None),
                _ => return Err(error),
            },
            None => (0, pages.shortfall()),
        };
        // 0 beside a rate, and -1, are what servers write that do not count.
        let count = count.and_then(|count| u64::try_from(count).ok());
        Ok(count.filter(|count| *count >= listed))
    }

    /// All rates of the list, with their details.
    async fn list_and_details(&self) -> Result<Vec<Result<CallRate, RowError>>, Error> {
        let mut rates = Vec::new();
        let mut failures = 0;
        let mut pages = self.rates(&RatesQuery::default());
        while let Some(page) = pages.next().await {
            for rate in page?.rates {
                let index = rates.len();
                rates.push(match rate {
                    Ok(summary) => self.with_details(index, summary, &mut failures).await?,
                    Err(bad) => Err(RowError { index, ..bad }),
                });
            }
        }
        // A deck with gaps would look like one from which rates were removed.
        if let Some(missing @ 1..) = pages.shortfall() {
            let reason = Reason::Unreadable {
                content_type: None,
                problem: format!("the list ended {missing} rates short of the server's count"),
            };
            return Err(Error::new(operations::LIST_CALL_RATES.id, reason));
        }
        Ok(rates)
    }

    /// All members of a rate that a list gave in part. A rate without a usable id stays as it is.
    /// One whose details cannot be read, or are not there, costs itself: its connect fee would seem
    /// to have changed. A server that fails for several in a row costs the deck.
    async fn with_details(
        &self,
        index: usize,
        summary: CallRate,
        failures: &mut u32,
    ) -> Result<Result<CallRate, RowError>, Error> {
        let wrong = |reason: String| Ok(Err(RowError { index, reason }));
        if summary
            .prefix
            .as_deref()
            .is_none_or(|prefix| prefix.trim().is_empty())
        {
            return wrong("it has no prefix".to_owned());
        }
        let Some(id) = summary
            .id
            .clone()
            .and_then(|id| ResourceId::try_from(id).ok())
        else {
            return Ok(Ok(summary));
        };
        let error = match self.rate(&id).await {
            Ok(details) => {
                *failures = 0;
                return Ok(Ok(joined(details, summary)));
            }
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::Unreadable | ErrorKind::Validation => wrong(error.to_string()),
            ErrorKind::Server | ErrorKind::Html | ErrorKind::NotFound
                if *failures < MOST_FAILED_DETAILS =>
            {
                *failures += 1;
                wrong(error.to_string())
            }
            _ => Err(error),
        }
    }
}

/// Turns rates that nobody can be charged by into errors.
fn checked(rates: Vec<Result<CallRate, RowError>>) -> Vec<Result<CallRate, RowError>> {
    let check = |(index, rate): (usize, Result<CallRate, RowError>)| {
        rate.and_then(|rate| match problem(&rate) {
            None => Ok(rate),
            Some(reason) => Err(RowError { index, reason }),
        })
    };
    rates.into_iter().enumerate().map(check).collect()
}

/// Why a rate is none: no number can begin with its prefix, or it has none of its own numbers, both
/// as in a line of totals; or it has a negative one.
fn problem(rate: &CallRate) -> Option<String> {
    let prefix = rate.prefix.as_deref().unwrap_or_default().trim();
    // Without a digit, it can only be the beginning of a number or of a code: `+`, `*`, `#`.
    let is_of_numbers = |c: char| matches!(c, '+' | '*' | '#');
    if !prefix.chars().any(|c| c.is_ascii_digit()) && !prefix.chars().all(is_of_numbers) {
        return Some(format!("no number begins with the prefix {prefix:?}"));
    }
    let spans = [rate.interval_1, rate.interval_n];
    let prices = [rate.price_1, rate.price_n];
    if spans.iter().all(Option::is_none) && prices.iter().all(Option::is_none) {
        return Some("it has neither intervals nor prices".to_owned());
    }
    let seconds = [
        ("interval_1", rate.interval_1),
        ("interval_n", rate.interval_n),
        ("free_seconds", rate.free_seconds),
        ("grace_period", rate.grace_period),
    ];
    let money = [
        ("price_1", rate.price_1),
        ("price_n", rate.price_n),
        ("connect_fee", rate.connect_fee),
        ("postcall_surcharge", rate.postcall_surcharge),
    ];
    let negative_seconds = (seconds.iter())
        .find(|(_, value)| value.is_some_and(|value| value < 0))
        .map(|(member, _)| member);
    let negative_money = (money.iter())
        .find(|(_, value)| value.is_some_and(|value| value < Amount::default()))
        .map(|(member, _)| member);
    let member = negative_seconds.or(negative_money)?;
    Some(format!("{member} is negative"))
}

/// How many requests for details may fail one after the other before the server counts as failed.
const MOST_FAILED_DETAILS: u32 = 3;

/// The details of a rate; what they leave out is as the list has it.
fn joined(details: CallRate, summary: CallRate) -> CallRate {
    CallRate {
        id: details.id.or(summary.id),
        prefix: details.prefix.or(summary.prefix),
        type_: details.type_.or(summary.type_),
        free_seconds: details.free_seconds.or(summary.free_seconds),
        grace_period: details.grace_period.or(summary.grace_period),
        interval_1: details.interval_1.or(summary.interval_1),
        interval_n: details.interval_n.or(summary.interval_n),
        connect_fee: details.connect_fee.or(summary.connect_fee),
        postcall_surcharge: details.postcall_surcharge.or(summary.postcall_surcharge),
        price_1: details.price_1.or(summary.price_1),
        price_n: details.price_n.or(summary.price_n),
        description: details.description.or(summary.description),
    }
}
