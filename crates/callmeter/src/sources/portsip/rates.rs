//! The poll of a tenant's rate deck.

use std::fmt::Write as _;
use std::sync::Arc;

use callmeter_journal::DeckExtent;
use callmeter_meter::RateDeck;
use callmeter_records::Stream;
use jiff::Timestamp;
use portsip_client::{DeckSource, Reason, Session};
use tracing::{info, warn};

use super::deck_records::OwnedDeck;
use crate::sources::blocking::blocking;
use crate::sources::error::PollError;
use crate::sources::poll::{AccountContext, Poll, Polled};
use crate::status::Task;

/// The poll of a tenant's rate deck.
pub(super) struct RatesTask {
    context: AccountContext,
    session: Session,
    /// Whether the last poll could not use the export: logged once, not with each poll.
    without_export: bool,
    /// Why the last deck was not whole: logged once, not with each poll.
    waiting: Option<String>,
}

impl RatesTask {
    pub(super) fn new(context: AccountContext, session: Session) -> Self {
        Self {
            context,
            session,
            without_export: false,
            waiting: None,
        }
    }

    /// Logs why a deck is not whole, which is no failure: what was read is valid.
    fn log_waiting(&mut self, waiting: Option<&str>) {
        if self.waiting.as_deref() == waiting {
            return;
        }
        self.waiting = waiting.map(str::to_owned);
        if let Some(reason) = waiting {
            warn!(
                account = &*self.context.account,
                reason, "the rate deck is not whole; removed rates are journaled only when it is"
            );
        }
    }

    fn log_source(&mut self, source: &DeckSource) -> &'static str {
        let DeckSource::ListAndDetails(why) = source else {
            self.without_export = false;
            return "by export";
        };
        if !self.without_export {
            self.without_export = true;
            info!(
                account = &*self.context.account,
                reason = %why,
                "cannot use the export of the rate deck; reading the list and the details instead"
            );
        }
        "by list and details"
    }
}

impl Poll for RatesTask {
    fn task(&self) -> Task {
        Task::Rates
    }

    async fn run(&mut self) -> Result<Polled, PollError> {
        let session = self.session.clone();
        let deck = self.context.unless_stopped(session.deck()).await?;
        let source = self.log_source(&deck.source);
        let rows = deck.rates.len() as u64;
        let unreadable = deck.rates.iter().filter(|rate| rate.is_err()).count() as u64;
        let accounts = self.context.app.status.accounts();
        accounts.records_unreadable(&self.context.account, Task::Rates, unreadable);
        let rates = OwnedDeck::new(deck.rates.into_iter().flatten());

        let context = self.context.clone();
        let (rates, missing) = blocking(move || {
            let journal = &context.app.journal;
            let missing = journal.missing_rates(&context.account, &rates.records());
            missing.map(|missing| (rates, missing))
        })
        .await??;
        let mut waiting = None;
        // A rate that cannot be read would look like a removed one.
        match unreadable {
            0 => {}
            1 => waiting = Some("1 rate cannot be read".to_owned()),
            _ => waiting = Some(format!("{unreadable} rates cannot be read")),
        }
        if missing > 0 {
            let count = self
                .context
                .unless_stopped(self.session.count_rates())
                .await?;
            if missing > unreadable {
                waiting = waiting.or(check_count(rows, missing, count)?);
            }
            // Then the rows that cannot be read are no rates, but lines of totals or the like.
            if count == Some(rows - unreadable) {
                waiting = None;
            }
        }
        self.log_waiting(waiting.as_deref());
        let context = self.context.clone();
        blocking(move || record_deck(&context, &rates, source, waiting)).await?
    }

    fn remove_gauges(&mut self) {
        let account = Arc::clone(&self.context.account);
        self.context
            .app
            .meter
            .update(|ledger| ledger.set_rates(&account, &RateDeck::default()));
    }
}

/// Whether a deck without known rates is the whole deck, which the count of the server's list
/// proves. Otherwise, why these rates cannot be called removed.
///
/// # Errors
/// If the list counts more: then the answer was cut off, and is no deck.
fn check_count(
    rows: u64,
    missing: u64,
    count: Option<u64>,
) -> Result<Option<String>, api_client::Error> {
    match count {
        Some(count) if count > rows => {
            let reason = Reason::Unreadable {
                content_type: None,
                problem: format!(
                    "it has {rows} rates, but the server's list counts {count}: it was cut off"
                ),
            };
            let operation = portsip_client::generated::operations::EXPORT_CALL_RATES.id;
            Err(api_client::Error::new(operation, reason))
        }
        Some(_) => Ok(None),
        None => Ok(Some(format!(
            "{missing} known rates did not come, and the server's list does not say how many \
             there are"
        ))),
    }
}

/// Journals and shows a deck. `waiting` says why rates that are not in it do not count as removed.
fn record_deck(
    context: &AccountContext,
    deck: &OwnedDeck,
    source: &str,
    waiting: Option<String>,
) -> Result<Polled, PollError> {
    let records = deck.records();
    let mut gauges = RateDeck::default();
    for rate in &records {
        gauges.add(rate.rate_type, rate.price_1.known(), rate.price_n.known());
    }
    let extent = match &waiting {
        None => DeckExtent::Whole,
        Some(_) => DeckExtent::Part,
    };
    let app = &context.app;
    let now = Timestamp::now().as_microsecond();
    let changes = (app.journal).record_rates(&context.account, now, &records, extent)?;
    app.count(Stream::Rates, changes.batch.as_slice())?;
    let mut found = format!(
        "{} rates {source}, {} new, {} edited, {} removed",
        records.len(),
        changes.new,
        changes.revised,
        changes.removed
    );
    if deck.repeated > 0 {
        // Writing to a String does not fail.
        let _ = write!(found, ", {} with the prefix of another", deck.repeated);
    }
    app.meter
        .update(|ledger| ledger.set_rates(&context.account, &gauges));
    if let Some(why) = waiting {
        let _ = write!(
            found,
            "; {why}; removed rates are journaled only when the whole deck is read"
        );
    }
    Ok(Polled {
        found,
        ..Polled::default()
    })
}
