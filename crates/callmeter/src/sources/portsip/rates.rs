//! The poll of a tenant's rate deck.

use std::fmt::Write as _;
use std::sync::Arc;

use callmeter_meter::RateDeck;
use callmeter_records::{Rate, Stream};
use jiff::Timestamp;
use portsip_client::{Amount, CallRate, DeckSource, Session};
use tracing::info;

use super::amount::nano;
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
}

impl RatesTask {
    pub(super) fn new(context: AccountContext, session: Session) -> Self {
        Self {
            context,
            session,
            without_export: false,
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
        let unreadable = deck.rates.iter().filter(|rate| rate.is_err()).count() as u64;
        let accounts = self.context.app.status.accounts();
        accounts.records_unreadable(&self.context.account, Task::Rates, unreadable);
        let rates: Vec<CallRate> = deck.rates.into_iter().flatten().collect();
        let context = self.context.clone();
        blocking(move || record_deck(&context, &rates, unreadable, source)).await?
    }

    fn remove_gauges(&mut self) {
        let account = Arc::clone(&self.context.account);
        self.context
            .app
            .meter
            .update(|ledger| ledger.set_rates(&account, &RateDeck::default()));
    }
}

fn record_deck(
    context: &AccountContext,
    rates: &[CallRate],
    unreadable: u64,
    source: &str,
) -> Result<Polled, PollError> {
    let texts: Vec<RateTexts> = rates.iter().map(RateTexts::new).collect();
    let deck: Vec<Rate<'_>> = rates
        .iter()
        .zip(&texts)
        .map(|(rate, texts)| texts.record(rate))
        .collect();
    let mut gauges = RateDeck::default();
    for rate in &deck {
        gauges.add(rate.rate_type, rate.price_1.known(), rate.price_n.known());
    }
    let app = &context.app;
    let mut found = format!("{} rates {source}", deck.len());
    let mut truncated = None;
    if unreadable == 0 {
        let now = Timestamp::now().as_microsecond();
        let changes = app.journal.record_rates(&context.account, now, &deck)?;
        app.count(Stream::Rates, changes.batch.as_slice())?;
        // Writing to a String does not fail.
        let _ = write!(
            found,
            ", {} new, {} edited, {} removed",
            changes.new, changes.revised, changes.removed
        );
    } else {
        // A rate that cannot be read would look like a removed one.
        truncated = Some(format!(
            "{unreadable} rates cannot be read; changes of the deck are not journaled until all can be read"
        ));
    }
    app.meter
        .update(|ledger| ledger.set_rates(&context.account, &gauges));
    Ok(Polled { found, truncated })
}

/// The texts of those members of a rate that have another type in the client.
struct RateTexts {
    rate_type: Option<String>,
    connect_fee: Option<String>,
    postcall_surcharge: Option<String>,
    price_1: Option<String>,
    price_n: Option<String>,
}

impl RateTexts {
    fn new(rate: &CallRate) -> Self {
        let text = |amount: Option<Amount>| amount.map(|amount| amount.to_string());
        Self {
            rate_type: rate.type_.as_ref().map(ToString::to_string),
            connect_fee: text(rate.connect_fee),
            postcall_surcharge: text(rate.postcall_surcharge),
            price_1: text(rate.price_1),
            price_n: text(rate.price_n),
        }
    }

    fn record<'r>(&'r self, rate: &'r CallRate) -> Rate<'r> {
        Rate {
            id: rate.id.as_deref(),
            prefix: rate.prefix.as_deref(),
            rate_type: self.rate_type.as_deref(),
            free_seconds: rate.free_seconds.into(),
            grace_period: rate.grace_period.into(),
            interval_1: rate.interval_1.into(),
            interval_n: rate.interval_n.into(),
            connect_fee: nano(rate.connect_fee, self.connect_fee.as_deref()),
            postcall_surcharge: nano(rate.postcall_surcharge, self.postcall_surcharge.as_deref()),
            price_1: nano(rate.price_1, self.price_1.as_deref()),
            price_n: nano(rate.price_n, self.price_n.as_deref()),
            description: rate.description.as_deref(),
        }
    }
}
