//! One account: the client of its API, and its polls.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::hostedsuite::{self, Backfill, CallsReader, Connection, WallClock};
use super::poll::AccountContext;
use super::polls::Polls;
use super::{connect, portsip};
use crate::config::{Account, Api, HostedSuite, Link, PortSip};
use crate::context::AppContext;
use crate::stop::Stop;

/// An account that is ready to be polled.
#[derive(Debug)]
pub(super) struct PreparedAccount {
    config: Account,
    client: Client,
}

#[derive(Debug)]
enum Client {
    HostedSuite(Connection, Box<HostedSuite>),
    PortSip(portsip_client::Session, Box<PortSip>),
}

impl PreparedAccount {
    /// Sets up the account's client. Nothing is sent and nothing shown yet.
    ///
    /// # Errors
    /// If certificates cannot be read.
    pub(super) fn new(account: &Account, app: &AppContext) -> Result<Self, api_client::Error> {
        let (metrics, redactor) = (&app.metrics, &app.redactor);
        let name = &account.name;
        let client = match &account.api {
            Api::HostedSuite(api) => {
                let connection = connect::hosted_suite(name, api, app)?;
                Client::HostedSuite(connection, Box::new(api.clone()))
            }
            Api::PortSip(api) => Client::PortSip(
                connect::port_sip(name, api, metrics, redactor)?,
                Box::new(api.clone()),
            ),
        };
        Ok(Self {
            config: account.clone(),
            client,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.config.name
    }

    pub(super) fn config(&self) -> &Account {
        &self.config
    }

    /// Adds the account to status and metrics, and starts its polls. `position` is the account's
    /// index in the configuration and the number of accounts there.
    pub(super) fn start(
        self,
        app: &AppContext,
        position: (usize, usize),
        stop: &Stop,
        tasks: &mut JoinSet<()>,
    ) {
        let context = context(&self.config, self.config.api.link(), app, stop.clone());
        let mut polls = Polls::new(context);
        match self.client {
            Client::HostedSuite(connection, api) => {
                hostedsuite::add_polls(&mut polls, &connection, *api);
            }
            Client::PortSip(session, api) => portsip::add_polls(&mut polls, &session, &api),
        }
        polls.start(&self.config, position, tasks);
    }
}

/// A backfill of this account's calls.
///
/// # Errors
/// If the account reads no calls, or its client cannot be set up.
pub fn backfill(
    account: &Account,
    app: &AppContext,
    stop: Stop,
) -> Result<Backfill, BackfillError> {
    let no_calls = || BackfillError::NoCalls(account.name.clone());
    let Api::HostedSuite(api) = &account.api else {
        return Err(no_calls());
    };
    let config = api.calls.clone().ok_or_else(no_calls)?;
    let connection = connect::hosted_suite(&account.name, api, app)?;
    Ok(Backfill::new(CallsReader {
        context: context(account, &api.link, app, stop),
        connection,
        config,
        zone: api.time_zone.clone(),
        clock: WallClock::system(),
    }))
}

/// Why an account's calls cannot be backfilled.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// It has no calls, or does not read them.
    #[error("account {0:?} reads no calls")]
    NoCalls(String),
    /// Its client cannot be set up.
    #[error(transparent)]
    Client(#[from] api_client::Error),
}

fn context(account: &Account, link: &Link, app: &AppContext, stop: Stop) -> AccountContext {
    AccountContext {
        account: Arc::from(account.name.as_str()),
        password: link.password.clone(),
        login: Arc::default(),
        app: app.clone(),
        stop,
    }
}
