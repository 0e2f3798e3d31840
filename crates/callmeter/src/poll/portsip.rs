//! PortSIP: what is asked of it and what becomes of the answers. Nothing here can write.

use std::fmt::Write as _;
use std::sync::Arc;

use callmeter_meter::{Billing as MeterBilling, RateDeck};
use callmeter_records::{Billing, Rate, Reading, Stream, money};
use jiff::Timestamp;
use portsip_client::{Amount, CallRate, DeckSource, Session};
use tracing::info;

use super::blocking::blocking;
use super::error::PollError;
use super::runner::{AccountContext, Poll, Polled};
use crate::status::Task;

/// The poll of a tenant's billing settings and balance.
pub(super) struct BillingTask {
    context: AccountContext,
    session: Session,
}

impl BillingTask {
    pub(super) fn new(context: AccountContext, session: Session) -> Self {
        Self { context, session }
    }
}

impl Poll for BillingTask {
    fn task(&self) -> Task {
        Task::Billing
    }

    async fn run(&mut self) -> Result<Polled, PollError> {
        let session = self.session.clone();
        let mut stop = self.context.stop.clone();
        let (settings, balance, tenant) = stop
            .unless_stopped(Box::pin(async {
                // Boxed one by one: each holds its own buffers, and they run after each other.
                let settings = Box::pin(session.billing()).await?;
                let balance = Box::pin(session.balance()).await?;
                let tenant = Box::pin(session.tenant()).await?;
                Ok::<_, api_client::Error>((settings, balance, tenant))
            }))
            .await
            .ok_or(PollError::Stopped)??;
        let context = self.context.clone();
        blocking(move || {
            let account = settings.account.map(|account| account.to_string());
            let charging = settings.type_.map(|charging| charging.to_string());
            let balance_text = balance.map(|balance| balance.to_string());
            let billing = Billing {
                enabled: settings.enabled.into(),
                billed_account: account.as_deref(),
                charging_type: charging.as_deref(),
                balance: nano(balance, balance_text.as_deref()),
                currency: tenant.currency.as_deref(),
            };
            let app = &context.app;
            let now = Timestamp::now().as_microsecond();
            let changes = app
                .journal
                .record_billing(&context.account, now, &billing)?;
            app.count(Stream::Billing, changes.batch.as_slice())?;
            let shown = MeterBilling {
                enabled: settings.enabled,
                billed_account: account.clone(),
                charging_type: charging.clone(),
                balance_nano: billing.balance.known(),
                currency: tenant.currency.clone(),
            };
            app.meter
                .update(|ledger| ledger.set_billing(&context.account, &shown));
            let changed = if changes.batch.is_some() {
                "changed"
            } else {
                "as before"
            };
            Ok(Polled {
                found: format!("billing settings and balance, {changed}"),
                truncated: None,
            })
        })
        .await?
    }

    fn vanish(&mut self) {
        let account = Arc::clone(&self.context.account);
        self.context
            .app
            .meter
            .update(|ledger| ledger.set_billing(&account, &MeterBilling::default()));
    }
}

/// The poll of a tenant's rate deck.
pub(super) struct RatesTask {
    context: AccountContext,
    session: Session,
    /// Whether the export was last found unusable: said once, not at each poll.
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

    fn note_source(&mut self, source: &DeckSource) -> &'static str {
        let DeckSource::ListAndDetails(why) = source else {
            self.without_export = false;
            return "by export";
        };
        if !self.without_export {
            self.without_export = true;
            info!(
                account = &*self.context.account,
                reason = %why,
                "the rate deck's export is not usable; reading list and details instead"
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
        let mut stop = self.context.stop.clone();
        let deck = stop
            .unless_stopped(Box::pin(session.deck()))
            .await
            .ok_or(PollError::Stopped)??;
        let source = self.note_source(&deck.source);
        let unreadable = deck.rates.iter().filter(|rate| rate.is_err()).count() as u64;
        self.context.count_unreadable(Task::Rates, unreadable);
        let rates: Vec<CallRate> = deck.rates.into_iter().flatten().collect();
        let context = self.context.clone();
        blocking(move || take_deck(&context, &rates, unreadable, source)).await?
    }

    fn vanish(&mut self) {
        let account = Arc::clone(&self.context.account);
        self.context
            .app
            .meter
            .update(|ledger| ledger.set_rates(&account, &RateDeck::default()));
    }
}

fn take_deck(
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
    let mut shown = RateDeck::default();
    for rate in &deck {
        shown.add(rate.rate_type, rate.price_1.known(), rate.price_n.known());
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
        // A rate that cannot be read would look like one that was removed.
        truncated = Some(format!(
            "{unreadable} rates cannot be read; changes of the deck are not journaled until they can"
        ));
    }
    app.meter
        .update(|ledger| ledger.set_rates(&context.account, &shown));
    Ok(Polled { found, truncated })
}

/// The texts of a rate that the client holds as other types.
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

/// An amount in units of 10⁻⁹; one that does not fit is unreadable under its own text.
fn nano(amount: Option<Amount>, text: Option<&str>) -> Reading<'_, i128> {
    let (Some(amount), Some(text)) = (amount, text) else {
        return Reading::Missing;
    };
    let decimal = amount.get();
    match money::from_parts(decimal.mantissa(), decimal.scale()) {
        Some(units) => Reading::Known(units),
        None => Reading::Unreadable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact() {
        let of = |text: &str| {
            let amount: Amount = text.parse().unwrap();
            nano(Some(amount), Some(text)).known()
        };
        assert_eq!(of("0.1"), Some(100_000_000));
        assert_eq!(of("0.10000"), Some(100_000_000));
        assert_eq!(of("-12.00001"), Some(-12_000_010_000));
        assert_eq!(nano(None, None), Reading::Missing);
    }
}
