//! Starts, stops and restarts the polls of accounts, without touching the accounts that stay the
//! same.

use std::collections::BTreeMap;
use std::time::Duration;

use callmeter_meter::Api;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::account::PreparedAccount;
use super::poll_runtime::PollRuntime;
use crate::config::Account;
use crate::context::AppContext;
use crate::stop::{StopSender, stop};

/// Runs the polls of all configured accounts.
#[derive(Debug)]
pub struct Supervisor {
    app: AppContext,
    running: BTreeMap<String, RunningAccount>,
    /// The polls of HostedSuite, and apart from them those of PortSIP: a deck of many rates takes
    /// seconds to read.
    hostedsuite: PollRuntime,
    portsip: PollRuntime,
}

#[derive(Debug)]
struct RunningAccount {
    config: Account,
    stop: StopSender,
    polls: JoinSet<()>,
}

/// Why an account cannot be polled.
#[derive(Debug, thiserror::Error)]
#[error("account {account}")]
pub struct AccountError {
    account: String,
    source: api_client::Error,
}

/// The accounts to start and to stop. Nothing has changed yet.
#[derive(Debug)]
pub struct Changes {
    /// With the account's index in the configuration.
    start: Vec<(usize, PreparedAccount)>,
    stop: Vec<String>,
    accounts: usize,
}

impl Supervisor {
    /// A supervisor of no accounts.
    ///
    /// # Errors
    /// If the system refuses to create a thread.
    pub fn new(app: AppContext) -> std::io::Result<Self> {
        Ok(Self {
            app,
            running: BTreeMap::new(),
            hostedsuite: PollRuntime::start()?,
            portsip: PollRuntime::start()?,
        })
    }

    /// What has to start and stop so that exactly these accounts are polled.
    ///
    /// # Errors
    /// If the client of an account cannot be set up.
    pub fn plan(&self, accounts: &[Account]) -> Result<Changes, AccountError> {
        let mut start = Vec::new();
        for (index, account) in accounts.iter().enumerate() {
            let same = self
                .running
                .get(&account.name)
                .is_some_and(|running| running.config == *account);
            if !same {
                let prepared =
                    PreparedAccount::new(account, &self.app).map_err(|source| AccountError {
                        account: account.name.clone(),
                        source,
                    })?;
                start.push((index, prepared));
            }
        }
        let stop = self
            .running
            .keys()
            .filter(|name| {
                let kept = accounts.iter().any(|account| account.name == **name);
                let restarted = start.iter().any(|(_, new)| new.name() == name.as_str());
                !kept || restarted
            })
            .cloned()
            .collect();
        Ok(Changes {
            start,
            stop,
            accounts: accounts.len(),
        })
    }

    /// Stops and starts accounts. Waits until the stopped ones have ended, so that no account is
    /// polled twice at the same time.
    pub async fn apply(&mut self, changes: Changes) {
        let Changes {
            start,
            stop: stopping,
            accounts,
        } = changes;
        let mut stopped = Vec::new();
        for name in stopping {
            if let Some(account) = self.running.remove(&name) {
                account.stop.stop();
                stopped.push((name, account));
            }
        }
        for (name, mut account) in stopped {
            finish(&name, &mut account.polls).await;
            if !start.iter().any(|(_, new)| new.name() == name) {
                self.app.status.accounts().remove(&name);
                info!(account = name, "account is no longer polled");
            }
        }
        for (index, prepared) in start {
            let name = prepared.name().to_owned();
            let config = prepared.config().clone();
            let (sender, listener) = stop();
            let mut polls = JoinSet::new();
            let runtime = match config.api.kind() {
                Api::HostedSuite => &self.hostedsuite,
                Api::PortSip => &self.portsip,
            };
            runtime.enter(|| {
                prepared.start(&self.app, (index, accounts), &listener, &mut polls);
            });
            info!(
                account = name,
                api = config.api.kind().label(),
                "account is polled"
            );
            let running = RunningAccount {
                config,
                stop: sender,
                polls,
            };
            self.running.insert(name, running);
        }
    }

    /// Stops all accounts, waiting no longer than `limit`.
    pub async fn stop(mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        for account in self.running.values() {
            account.stop.stop();
        }
        for (name, account) in &mut self.running {
            let stopped = tokio::time::timeout_at(deadline, finish(name, &mut account.polls));
            if stopped.await.is_err() {
                warn!(
                    account = name,
                    "polls did not end in time; the next start reads their last page again"
                );
            }
        }
    }
}

/// Waits for the polls of an account.
async fn finish(account: &str, polls: &mut JoinSet<()>) {
    while let Some(ended) = polls.join_next().await {
        if let Err(failure) = ended {
            error!(account, %failure, "the task of a poll failed");
        }
    }
}
