//! All call rates with all their members: from the export, or rate by rate.

use api_client::{Error, ErrorKind, Reason, ResourceId};

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
                    rates,
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
            let reason = Reason::Unreadable {
                content_type: None,
                problem: format!("the list ended {missing} rates short of the server's count"),
            };
            return Err(Error::new(operations::LIST_CALL_RATES.id, reason).with_status(200));
        }
        Ok(Deck {
            rates,
            source: DeckSource::ListAndDetails(why),
        })
    }

    /// All members of a rate that a list gave in part. A rate that has been removed meanwhile, or
    /// has no usable id, stays as it is.
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
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(summary),
            Err(error) => Err(error),
        }
    }
}
