//! The poll of a tenant's billing settings and balance.

use std::sync::Arc;

use callmeter_meter::Billing as MeterBilling;
use callmeter_records::{Billing, Reading, Stream};
use jiff::Timestamp;
use portsip_client::Session;
use tracing::info;

use super::amount::nano;
use super::billing_parts::{Answers, Parts, may_be_missing};
use crate::sources::blocking::blocking;
use crate::sources::error::PollError;
use crate::sources::poll::{AccountContext, Poll, Polled};
use crate::status::Task;

/// The characters of an unreadable currency that are logged.
const MOST_OF_CURRENCY: usize = 40;

/// The poll of a tenant's billing settings and balance.
pub(super) struct BillingTask {
    context: AccountContext,
    session: Session,
    /// What was read last of each part.
    last: Parts,
    /// Whether the last poll read something, and journaled and showed it.
    is_recorded: bool,
    /// What the last poll did without: logged once, not with each poll.
    without: String,
}

impl BillingTask {
    pub(super) fn new(context: AccountContext, session: Session) -> Self {
        Self {
            context,
            session,
            last: Parts::default(),
            is_recorded: false,
            without: String::new(),
        }
    }

    /// What the answers leave out, in plain words, with the reasons.
    fn log_missing(&mut self, answers: &Answers) -> String {
        let missing = answers.missing();
        let missing = missing.map(|(what, error)| format!("; no {what}: {error}"));
        let bad = answers.bad_currency().map(|text| {
            let text: String = text.chars().take(MOST_OF_CURRENCY).collect();
            format!("; no currency: {text:?} is not three capital letters, such as USD")
        });
        let without = missing.chain(bad);
        let without = self
            .context
            .app
            .redactor
            .scrub(&without.collect::<String>());
        if self.without != without {
            self.without.clone_from(&without);
            if !without.is_empty() {
                let reason = without.trim_start_matches("; ");
                info!(
                    account = &*self.context.account,
                    reason, "a part of the billing poll cannot be read; doing without it"
                );
            }
        }
        without
    }
}

impl Poll for BillingTask {
    fn task(&self) -> Task {
        Task::Billing
    }

    async fn run(&mut self) -> Result<Polled, PollError> {
        self.is_recorded = false;
        let session = self.session.clone();
        let answers = self.context.unless_stopped(Answers::read(&session)).await?;
        if answers.is_empty()
            && let Some(error) = answers.failure()
        {
            return Err(error.into());
        }
        let without = self.log_missing(&answers);
        let is_journaled = self.last.take_in(&answers);
        let parts = self.last.clone();
        let context = self.context.clone();
        let found = blocking(move || record(&context, &parts, is_journaled)).await??;
        self.is_recorded = true;
        // What could be read is shown, and what could not is reported.
        match answers.failure().filter(|error| !may_be_missing(error)) {
            Some(error) => Err(error.into()),
            None => Ok(Polled {
                found: found + &without,
                ..Polled::default()
            }),
        }
    }

    /// Removes those of the parts that cannot be read; the others are as new as ever.
    fn remove_gauges(&mut self) {
        if self.is_recorded {
            self.last.hide_missed();
        } else {
            self.last.hide_all();
        }
        let account = Arc::clone(&self.context.account);
        let gauges = gauges(&self.last);
        self.context
            .app
            .meter
            .update(|ledger| ledger.set_billing(&account, &gauges));
    }
}

/// Journals and shows what was read, and says what it is.
fn record(
    context: &AccountContext,
    parts: &Parts,
    is_journaled: bool,
) -> Result<String, PollError> {
    let settings = parts.settings();
    let account = settings.account.map(|account| account.to_string());
    let charging = settings.type_.map(|charging| charging.to_string());
    let balance_text = parts.balance_text();
    let billing = Billing {
        enabled: settings.enabled.into(),
        billed_account: account.as_deref(),
        charging_type: charging.as_deref(),
        balance: match (parts.balance_amount(), balance_text.as_deref()) {
            (None, Some(text)) => Reading::Unreadable(text),
            (amount, text) => nano(amount, text),
        },
        currency: parts.currency().known(),
    };
    let app = &context.app;
    let mut found = "billing settings and balance".to_owned();
    if is_journaled {
        let now = Timestamp::now().as_microsecond();
        let changes = app
            .journal
            .record_billing(&context.account, now, &billing)?;
        app.count(Stream::Billing, changes.batch.as_slice())?;
        found += match changes.batch {
            Some(_) => ", changed",
            None => ", unchanged",
        };
    }
    let accounts = app.status.accounts();
    if let Reading::Unreadable(_) = billing.balance {
        accounts.records_unreadable(&context.account, Task::Billing, 1);
        found += "; the balance is not a number";
    }
    if let Reading::Unreadable(_) = parts.currency() {
        accounts.records_unreadable(&context.account, Task::Billing, 1);
    }
    let gauges = gauges(parts);
    app.meter
        .update(|ledger| ledger.set_billing(&context.account, &gauges));
    Ok(found)
}

/// What is shown of the parts.
fn gauges(parts: &Parts) -> MeterBilling {
    let shown = parts.shown();
    let settings = shown.settings();
    MeterBilling {
        enabled: settings.enabled,
        billed_account: settings.account.map(|account| account.to_string()),
        charging_type: settings.type_.map(|charging| charging.to_string()),
        balance_nano: nano(shown.balance_amount(), shown.balance_text().as_deref()).known(),
        currency: shown.currency().known().map(str::to_owned),
    }
}
