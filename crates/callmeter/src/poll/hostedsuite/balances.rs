//! Allowance balances of the current period, and the client list that gives them limits.

use std::sync::Arc;

use callmeter_meter::{Allowance, AllowanceUse, Client as MeterClient};
use callmeter_records::{Balance, Stream};
use hostedsuite_client::{
    BalanceQuery, CallAllowanceType, CallRounding, Client, ClientRef, ClientsQuery,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::convert::{balance, decimal};
use crate::config::{Balances, Rounding};
use crate::poll::blocking::blocking;
use crate::poll::days::Period;
use crate::poll::error::PollError;
use crate::poll::runner::{AccountContext, Poll, Polled};
use crate::status::Task;

/// The poll of an account's allowance balances.
pub(in crate::poll) struct BalancesTask {
    pub(in crate::poll) context: AccountContext,
    pub(in crate::poll) client: Client,
    pub(in crate::poll) config: Balances,
    pub(in crate::poll) zone: TimeZone,
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
        let period = Period::current(now, self.config.period_start_day, &self.zone)
            .ok_or_else(|| PollError::Internal("the calendar has no such period".to_owned()))?;
        let query = self.query(&period);
        let mut stop = self.context.stop.clone();
        let answer = stop
            .unless_stopped(Box::pin(self.client.balances(&query)))
            .await
            .ok_or(PollError::Stopped)??;
        let context = self.context.clone();
        blocking(move || {
            let span = (period.start.as_microsecond(), period.end.as_microsecond());
            let mut rows = Vec::new();
            let mut unreadable = 0;
            for row in answer.rows() {
                let Ok(row) = row else {
                    unreadable += 1;
                    continue;
                };
                rows.push(balance(row, span));
            }
            context.count_unreadable(Task::Balances, unreadable);
            let app = &context.app;
            let observed = now.as_microsecond();
            let changes = app
                .journal
                .record_balances(&context.account, observed, &rows)?;
            app.count(Stream::Balances, changes.batch.as_slice())?;
            let uses = rows.iter().map(allowance_use).collect();
            app.meter.update(|ledger| {
                ledger.set_allowances(&context.account, span, observed, uses);
            });
            let changed = changes.new + changes.revised;
            Ok(Polled {
                found: format!("balances of {} clients, {changed} changed", rows.len()),
                truncated: None,
            })
        })
        .await?
    }

    fn vanish(&mut self) {
        let account = Arc::clone(&self.context.account);
        self.context.app.meter.update(|ledger| {
            ledger.set_allowances(&account, (0, 0), 0, Vec::new());
        });
    }
}

fn allowance_use(balance: &Balance<'_>) -> AllowanceUse {
    let own = |text: Option<&str>| text.map(str::to_owned);
    AllowanceUse {
        client_id: balance.client_id.unwrap_or_default().to_owned(),
        client_name: own(balance.client_name),
        third_party_account_id: own(balance.third_party_account_id),
        balance_nano: balance.balance.known(),
        calls_nano: balance.num_calls.known(),
        minutes_nano: balance.num_mins.known(),
    }
}

/// The poll of an account's client list, where the user may read it.
pub(in crate::poll) struct ClientsTask {
    pub(in crate::poll) context: AccountContext,
    pub(in crate::poll) client: Client,
}

impl Poll for ClientsTask {
    fn task(&self) -> Task {
        Task::Clients
    }

    async fn run(&mut self) -> Result<Polled, PollError> {
        let mut stop = self.context.stop.clone();
        let answer = stop
            .unless_stopped(Box::pin(self.client.clients(&ClientsQuery::all())))
            .await
            .ok_or(PollError::Stopped)??;
        let mut unreadable = 0;
        let mut clients = Vec::new();
        for row in answer.rows() {
            match row {
                // A client without an id cannot be told from others.
                Ok(row) => clients.extend(row.id().map(|id| meter_client(id, &row))),
                Err(_) => unreadable += 1,
            }
        }
        self.context.count_unreadable(Task::Clients, unreadable);
        let found = format!("{} clients", clients.len());
        let now = Timestamp::now().as_microsecond();
        self.context.app.meter.update(|ledger| {
            ledger.set_clients(&self.context.account, now, clients);
        });
        Ok(Polled {
            found,
            truncated: None,
        })
    }

    fn vanish(&mut self) {
        let account = Arc::clone(&self.context.account);
        self.context
            .app
            .meter
            .update(|ledger| ledger.set_clients(&account, 0, Vec::new()));
    }

    fn is_optional(&self) -> bool {
        true
    }
}

fn meter_client(id: &str, row: &ClientRef<'_>) -> MeterClient {
    let own = |text: Option<&str>| text.map(str::to_owned);
    let amount = decimal(row.allowance_amount()).known();
    MeterClient {
        client_id: id.to_owned(),
        client_name: own(row.name()),
        center_id: own(row.center_id()),
        third_party_account_id: own(row.third_party_account_id()),
        allowance: match row.allowance_type() {
            Some(CallAllowanceType::NumberOfCalls) => amount.map(Allowance::Calls),
            Some(CallAllowanceType::NumberOfMinutes) => amount.map(Allowance::Minutes),
            _ => None,
        },
    }
}
