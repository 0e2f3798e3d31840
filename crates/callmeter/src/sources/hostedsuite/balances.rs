//! The poll of an account's allowance balances in the current period.

use std::sync::{Arc, Mutex, PoisonError};

use callmeter_meter::AllowanceUse;
use callmeter_records::{Balance, Stream};
use hostedsuite_client::{BalanceQuery, CallRounding, Client};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::convert::balance;
use super::period::Period;
use super::period_calls::PeriodCalls;
use crate::config::{Balances, Rounding};
use crate::sources::blocking::blocking;
use crate::sources::error::PollError;
use crate::sources::poll::{AccountContext, Poll, Polled};
use crate::status::Task;

/// The poll of an account's allowance balances.
pub(in crate::sources) struct BalancesTask {
    pub(in crate::sources) context: AccountContext,
    pub(in crate::sources) client: Client,
    pub(in crate::sources) config: Balances,
    pub(in crate::sources) zone: TimeZone,
    pub(in crate::sources) counted: Arc<Mutex<PeriodCalls>>,
}

impl BalancesTask {
    fn query(&self, period: &Period) -> BalanceQuery {
        let config = &self.config;
        BalanceQuery::between(period.first, period.last)
            .bill_hold(config.bill_hold)
            .bill_talk(config.bill_talk)
            .bill_transfer(config.bill_transfer)
            .bill_ring(config.bill_ring)
            .rounding(match config.rounding {
                Rounding::None => CallRounding::None,
                Rounding::NextMinute => CallRounding::NextMinute,
                Rounding::Next30Seconds => CallRounding::Next30Seconds,
            })
            .talk_time(config.min_call_duration, config.max_call_duration)
    }
}

impl Poll for BalancesTask {
    fn task(&self) -> Task {
        Task::Balances
    }

    async fn run(&mut self) -> Result<Polled, PollError> {
        let now = Timestamp::now();
        let period =
            Period::current(now, self.config.period_start_day, &self.zone).ok_or_else(|| {
                PollError::Internal("the billing period is outside the calendar".to_owned())
            })?;
        let query = self.query(&period);
        let response = self
            .context
            .unless_stopped(self.client.balances(&query))
            .await?;
        let context = self.context.clone();
        let counted = Arc::clone(&self.counted);
        blocking(move || {
            let span = (period.start.as_microsecond(), period.end.as_microsecond());
            let mut rows = Vec::new();
            let mut unreadable = 0;
            for row in response.rows() {
                let Ok(row) = row else {
                    unreadable += 1;
                    continue;
                };
                rows.push(balance(row, span));
            }
            let app = &context.app;
            let accounts = app.status.accounts();
            accounts.records_unreadable(&context.account, Task::Balances, unreadable);
            let observed = now.as_microsecond();
            let changes = app
                .journal
                .record_balances(&context.account, observed, &rows)?;
            app.count(Stream::Balances, changes.batch.as_slice())?;
            // A panic leaves counts that are a little wrong, in a gauge.
            let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
            counted.follow(&app.journal, &context.account, span)?;
            let uses = rows.iter().map(|row| allowance_use(row, &counted));
            let uses = uses.collect();
            app.meter.update(|ledger| {
                ledger.set_allowances(&context.account, span, observed, uses);
            });
            let changed = changes.new + changes.revised;
            Ok(Polled {
                found: format!("balances of {} clients, {changed} changed", rows.len()),
                ..Polled::default()
            })
        })
        .await?
    }

    fn remove_gauges(&mut self) {
        let account = Arc::clone(&self.context.account);
        self.context.app.meter.update(|ledger| {
            ledger.set_allowances(&account, (0, 0), 0, Vec::new());
        });
    }
}

fn allowance_use(balance: &Balance<'_>, counted: &PeriodCalls) -> AllowanceUse {
    let own = |text: Option<&str>| text.map(str::to_owned);
    AllowanceUse {
        client_id: own(balance.client_id),
        allowance: own(balance.allowance_description),
        client_name: own(balance.client_name),
        third_party_account_id: own(balance.third_party_account_id),
        balance_nano: balance.balance.known(),
        counted_calls: balance.client_id.map(|client| counted.of(client).into()),
        calls_nano: balance.num_calls.known(),
        minutes_nano: balance.num_mins.known(),
    }
}
