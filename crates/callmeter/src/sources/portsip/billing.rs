//! The poll of a tenant's billing settings and balance.

use std::sync::Arc;

use callmeter_meter::Billing as MeterBilling;
use callmeter_records::{Billing, Stream};
use jiff::Timestamp;
use portsip_client::Session;

use super::amount::nano;
use crate::sources::blocking::blocking;
use crate::sources::error::PollError;
use crate::sources::poll::{AccountContext, Poll, Polled};
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
        let (settings, balance, tenant) = self
            .context
            .unless_stopped(async {
                // Boxed one by one: each has its own buffers, and they run one after the other.
                let settings = Box::pin(session.billing()).await?;
                let balance = Box::pin(session.balance()).await?;
                let tenant = Box::pin(session.tenant()).await?;
                Ok::<_, api_client::Error>((settings, balance, tenant))
            })
            .await?;
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
            let gauges = MeterBilling {
                enabled: settings.enabled,
                billed_account: account.clone(),
                charging_type: charging.clone(),
                balance_nano: billing.balance.known(),
                currency: tenant.currency.clone(),
            };
            app.meter
                .update(|ledger| ledger.set_billing(&context.account, &gauges));
            let changed = if changes.batch.is_some() {
                "changed"
            } else {
                "unchanged"
            };
            Ok(Polled {
                found: format!("billing settings and balance, {changed}"),
                truncated: None,
            })
        })
        .await?
    }

    fn remove_gauges(&mut self) {
        let account = Arc::clone(&self.context.account);
        self.context
            .app
            .meter
            .update(|ledger| ledger.set_billing(&account, &MeterBilling::default()));
    }
}
