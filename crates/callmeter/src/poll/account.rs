//! One account: its client, and which polls it has.

use std::sync::Arc;
use std::time::Duration;

use callmeter_meter::Api as MeterApi;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connect;
use super::hostedsuite::{BalancesTask, CallsReader, CallsTask, ClientsTask};
use super::portsip::{BillingTask, RatesTask};
use super::runner::{AccountContext, drive};
use super::schedule::Schedule;
use crate::config::{Account, Api, Link};
use crate::context::AppContext;
use crate::status::Task;
use crate::stop::Stop;

/// An account that is ready to be polled.
#[derive(Debug)]
pub(super) struct PreparedAccount {
    config: Account,
    client: Client,
}

#[derive(Debug)]
enum Client {
    HostedSuite(hostedsuite_client::Client),
    PortSip(portsip_client::Session),
}

/// Makes an account's client. Nothing is sent, nothing shown yet.
///
/// # Errors
/// When certificates cannot be read.
pub(super) fn prepare(
    account: &Account,
    app: &AppContext,
) -> Result<PreparedAccount, api_client::Error> {
    let (metrics, redactor) = (&app.metrics, &app.redactor);
    let client = match &account.api {
        Api::HostedSuite(api) => Client::HostedSuite(connect::hosted_suite(
            &account.name,
            api,
            metrics,
            redactor,
        )?),
        Api::PortSip(api) => {
            Client::PortSip(connect::port_sip(&account.name, api, metrics, redactor)?)
        }
    };
    Ok(PreparedAccount {
        config: account.clone(),
        client,
    })
}

/// A reader of an account's calls without a loop around it, for the backfill.
pub(super) fn calls_reader(
    account: &Account,
    app: &AppContext,
    stop: Stop,
    pause: Duration,
) -> Option<Result<CallsReader, api_client::Error>> {
    let Api::HostedSuite(api) = &account.api else {
        return None;
    };
    let config = api.calls.clone()?;
    let made = connect::hosted_suite(&account.name, api, &app.metrics, &app.redactor);
    Some(made.map(|client| CallsReader {
        context: context(account, &api.link, app, stop),
        client,
        config,
        zone: api.time_zone.clone(),
        pause,
    }))
}

fn context(account: &Account, link: &Link, app: &AppContext, stop: Stop) -> AccountContext {
    AccountContext {
        account: Arc::from(account.name.as_str()),
        password: link.password.clone(),
        stale_after: link.stale_after,
        login: Arc::default(),
        app: app.clone(),
        stop,
    }
}

impl PreparedAccount {
    pub(super) fn name(&self) -> &str {
        &self.config.name
    }

    pub(super) fn config(&self) -> &Account {
        &self.config
    }

    /// Shows the account everywhere and starts its polls, as the `place`-th of `total` accounts.
    pub(super) fn start(
        self,
        app: &AppContext,
        place: usize,
        total: usize,
        stop: &Stop,
        polls: &mut JoinSet<()>,
    ) {
        let name = self.config.name.as_str();
        let label = self.config.api.label();
        let begin = |every: Duration| Schedule::new(every, place, total, Instant::now());
        match (&self.config.api, self.client) {
            (Api::HostedSuite(api), Client::HostedSuite(client)) => {
                show(
                    app,
                    name,
                    label,
                    MeterApi::HostedSuite,
                    &tasks(&self.config.api),
                );
                let context = context(&self.config, &api.link, app, stop.clone());
                if let Some(config) = &api.calls {
                    let reader = CallsReader {
                        context: context.clone(),
                        client: client.clone(),
                        config: config.clone(),
                        zone: api.time_zone.clone(),
                        pause: Duration::ZERO,
                    };
                    polls.spawn(drive(
                        context.clone(),
                        CallsTask::new(reader),
                        begin(config.every),
                    ));
                }
                if let Some(config) = &api.balances {
                    let task = BalancesTask {
                        context: context.clone(),
                        client: client.clone(),
                        config: config.clone(),
                        zone: api.time_zone.clone(),
                    };
                    polls.spawn(drive(context.clone(), task, begin(config.every)));
                }
                if let Some(config) = &api.clients {
                    let task = ClientsTask {
                        context: context.clone(),
                        client,
                    };
                    polls.spawn(drive(context, task, begin(config.every)));
                }
            }
            (Api::PortSip(api), Client::PortSip(session)) => {
                show(
                    app,
                    name,
                    label,
                    MeterApi::PortSip,
                    &tasks(&self.config.api),
                );
                let context = context(&self.config, &api.link, app, stop.clone());
                if let Some(config) = &api.billing {
                    let task = BillingTask::new(context.clone(), session.clone());
                    polls.spawn(drive(context.clone(), task, begin(config.every)));
                }
                if let Some(config) = &api.rates {
                    let task = RatesTask::new(context.clone(), session);
                    polls.spawn(drive(context, task, begin(config.every)));
                }
            }
            // `prepare` makes the client of the same configuration.
            (Api::HostedSuite(_), Client::PortSip(_))
            | (Api::PortSip(_), Client::HostedSuite(_)) => {}
        }
    }
}

/// The beats of an account's polls.
fn tasks(api: &Api) -> Vec<(Task, Duration)> {
    match api {
        Api::HostedSuite(api) => [
            api.calls.as_ref().map(|calls| (Task::Calls, calls.every)),
            api.balances
                .as_ref()
                .map(|balances| (Task::Balances, balances.every)),
            api.clients
                .as_ref()
                .map(|clients| (Task::Clients, clients.every)),
        ]
        .into_iter()
        .flatten()
        .collect(),
        Api::PortSip(api) => [
            api.billing
                .as_ref()
                .map(|billing| (Task::Billing, billing.every)),
            api.rates.as_ref().map(|rates| (Task::Rates, rates.every)),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}

/// Puts an account onto status and meter.
fn show(
    app: &AppContext,
    name: &str,
    label: &'static str,
    api: MeterApi,
    tasks: &[(Task, Duration)],
) {
    app.status.add_account(name, label, tasks);
    app.meter.update(|ledger| ledger.configure(name, api));
}

/// Takes an account off status, metrics and meter. Its totals stay in the ledger.
pub(super) fn forget(app: &AppContext, name: &str) {
    app.status.remove_account(name);
    app.metrics.forget_account(name);
    app.meter.update(|ledger| ledger.unconfigure(name));
}
