//! Which accounts are polled: starts, stops and exchanges them without touching the others.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::account::{PreparedAccount, forget, prepare};
use crate::config::Account;
use crate::context::AppContext;
use crate::stop::{StopSender, stop};

/// Runs the polls of all configured accounts.
#[derive(Debug)]
pub struct Supervisor {
    app: AppContext,
    running: BTreeMap<String, RunningAccount>,
}

#[derive(Debug)]
struct RunningAccount {
    config: Account,
    stop: StopSender,
    polls: JoinSet<()>,
}

/// Why an account cannot be polled at all.
#[derive(Debug, thiserror::Error)]
#[error("account {account}: {source}")]
pub struct AccountError {
    account: String,
    source: api_client::Error,
}

/// How the accounts are to change; made without touching any of them.
#[derive(Debug)]
pub struct Changes {
    start: Vec<(usize, PreparedAccount)>,
    stop: Vec<String>,
    total: usize,
}

impl Supervisor {
    /// Nothing runs yet.
    pub fn new(app: AppContext) -> Self {
        Self {
            app,
            running: BTreeMap::new(),
        }
    }

    /// What has to start and stop so that these accounts, and no others, are polled.
    ///
    /// # Errors
    /// When a client cannot be made; nothing has changed then.
    pub fn plan(&self, accounts: &[Account]) -> Result<Changes, AccountError> {
        let mut start = Vec::new();
        for (place, account) in accounts.iter().enumerate() {
            let same = self
                .running
                .get(&account.name)
                .is_some_and(|running| running.config == *account);
            if !same {
                let prepared = prepare(account, &self.app).map_err(|source| AccountError {
                    account: account.name.clone(),
                    source,
                })?;
                start.push((place, prepared));
            }
        }
        let stop = self
            .running
            .keys()
            .filter(|name| {
                let kept = accounts.iter().any(|account| account.name == **name);
                let exchanged = start.iter().any(|(_, new)| new.name() == name.as_str());
                !kept || exchanged
            })
            .cloned()
            .collect();
        Ok(Changes {
            start,
            stop,
            total: accounts.len(),
        })
    }

    /// Stops and starts what a plan says. Waits until what stops has stopped, so that no account is
    /// ever polled by two at once.
    pub async fn apply(&mut self, changes: Changes) {
        let Changes {
            start,
            stop: leave,
            total,
        } = changes;
        let mut leaving = Vec::new();
        for name in leave {
            if let Some(account) = self.running.remove(&name) {
                account.stop.stop();
                leaving.push((name, account));
            }
        }
        for (name, mut account) in leaving {
            finish(&name, &mut account.polls).await;
            if !start.iter().any(|(_, new)| new.name() == name) {
                forget(&self.app, &name);
                info!(account = name, "account is no longer polled");
            }
        }
        for (place, prepared) in start {
            let name = prepared.name().to_owned();
            let config = prepared.config().clone();
            let (sender, listener) = stop();
            let mut polls = JoinSet::new();
            prepared.start(&self.app, place, total, &listener, &mut polls);
            info!(
                account = name,
                api = config.api.label(),
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

    /// Stops everything, waiting no longer than `limit`.
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
                    "polls did not end in time; what they read last will be read again"
                );
            }
        }
    }
}

/// Waits for the polls of an account.
async fn finish(account: &str, polls: &mut JoinSet<()>) {
    while let Some(ended) = polls.join_next().await {
        if let Err(failure) = ended {
            error!(account, %failure, "a poll's task broke");
        }
    }
}
