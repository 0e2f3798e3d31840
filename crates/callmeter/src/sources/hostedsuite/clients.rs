//! The poll of an account's client list, which gives the allowance balances their limits. A user
//! may lack the permission to read it.

use std::sync::Arc;

use callmeter_meter::{Allowance, Client as MeterClient};
use hostedsuite_client::{CallAllowanceType, Client, ClientRef, ClientsQuery};
use jiff::Timestamp;

use super::convert::decimal;
use crate::sources::error::PollError;
use crate::sources::poll::{AccountContext, Poll, Polled};
use crate::status::Task;

/// The poll of an account's client list.
pub(in crate::sources) struct ClientsTask {
    pub(in crate::sources) context: AccountContext,
    pub(in crate::sources) client: Client,
}

impl Poll for ClientsTask {
    fn task(&self) -> Task {
        Task::Clients
    }

    async fn run(&mut self) -> Result<Polled, PollError> {
        let response = self
            .context
            .unless_stopped(self.client.clients(&ClientsQuery::all()))
            .await?;
        let mut unreadable = 0;
        let mut clients = Vec::new();
        for row in response.rows() {
            match row {
                // A client without an id cannot be distinguished from others.
                Ok(row) => clients.extend(row.id().map(|id| meter_client(id, &row))),
                Err(_) => unreadable += 1,
            }
        }
        let accounts = self.context.app.status.accounts();
        accounts.records_unreadable(&self.context.account, Task::Clients, unreadable);
        let found = format!("{} clients", clients.len());
        let now = Timestamp::now().as_microsecond();
        self.context.app.meter.update(|ledger| {
            ledger.set_clients(&self.context.account, now, clients);
        });
        Ok(Polled {
            found,
            ..Polled::default()
        })
    }

    fn remove_gauges(&mut self) {
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
