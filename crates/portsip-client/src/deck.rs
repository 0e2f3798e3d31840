//! All call rates with all their members, by whichever way works.

use api_client::{Error, ResourceId};

use crate::export_columns::MissingColumns;
use crate::rates::RowError;
use crate::{CallRate, ExportedRates, RatesQuery, Session};

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
    /// The list and one request for each rate, since the export cannot be used.
    ListAndDetails(WhyNoExport),
}

/// Why the export cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhyNoExport {
    /// Its columns cannot all be told.
    #[error(transparent)]
    Columns(MissingColumns),
    /// The server has none, does not give it to this login, or sends something else.
    #[error(transparent)]
    Failed(Error),
}

impl Session {
    /// All call rates with all their members: from the export, or, where that cannot be understood or had, from the
    /// list and one request for each rate. The source tells which, and why. A deck is whole, but for rows that cannot
    /// be read: one that comes short of the server's own count is an error.
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
                    rates,
                    source: DeckSource::Export,
                });
            }
            Ok(ExportedRates::NoColumns(missing)) => WhyNoExport::Columns(missing),
            Err(
                error @ (Error::NotFound { .. }
                | Error::PermissionDenied { .. }
                | Error::Validation { .. }
                | Error::Html { .. }
                | Error::Unreadable { .. }),
            ) => WhyNoExport::Failed(error),
            Err(error) => return Err(error),
        };
        let mut rates = Vec::new();
        let mut pages = self.rates(&RatesQuery::default());
        while let Some(page) = pages.next().await {
            for rate in page?.rates {
                rates.push(match rate {
                    Ok(summary) => Ok(self.with_details(summary).await?),
                    Err(bad) => Err(bad),
                });
            }
        }
        // A deck with gaps would look like one from which rates were removed.
        if let Some(missing @ 1..) = pages.shortfall() {
            return Err(Error::Unreadable {
                operation: "list_call_rates",
                status: 200,
                content_type: None,
                reason: format!("the list ended {missing} rates short of the server's count"),
            });
        }
        Ok(Deck {
            rates,
            source: DeckSource::ListAndDetails(why),
        })
    }

    /// The whole of a rate that a list gave in part. One that is gone meanwhile, or has no usable id, stays as it is.
    async fn with_details(&self, summary: CallRate) -> Result<CallRate, Error> {
        let Some(id) = summary
            .id
            .clone()
            .and_then(|id| ResourceId::try_from(id).ok())
        else {
            return Ok(summary);
        };
        match self.rate(&id).await {
            Ok(rate) => Ok(rate),
            Err(Error::NotFound { .. }) => Ok(summary),
            Err(error) => Err(error),
        }
    }
}
