//! The polls of one account, collected and then started together.

use std::pin::Pin;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::error::REASONS;
use super::poll::{AccountContext, Poll};
use super::runner;
use super::schedule::Schedule;
use crate::config::Account;
use crate::status::{AccountSetup, Task};

/// The polls of one account.
pub(super) struct Polls {
    context: AccountContext,
    tasks: Vec<(Task, Duration)>,
    loops: Vec<StartLoop>,
}

type Loop = Pin<Box<dyn Future<Output = ()> + Send>>;
type StartLoop = Box<dyn FnOnce(AccountContext, Schedule) -> Loop>;

impl Polls {
    pub(super) fn new(context: AccountContext) -> Self {
        Self {
            context,
            tasks: Vec::new(),
            loops: Vec::new(),
        }
    }

    /// What the polls share.
    pub(super) fn context(&self) -> AccountContext {
        self.context.clone()
    }

    /// Adds a poll that runs at this interval.
    pub(super) fn add(&mut self, poll: impl Poll + 'static, interval: Duration) {
        self.tasks.push((poll.task(), interval));
        self.loops.push(Box::new(move |context, schedule| {
            Box::pin(runner::run(context, poll, schedule))
        }));
    }

    /// Adds the account to status and metrics, and starts the polls. `position` is the account's
    /// index in the configuration and the number of accounts there.
    pub(super) fn start(
        self,
        account: &Account,
        (index, accounts): (usize, usize),
        running: &mut JoinSet<()>,
    ) {
        self.context.app.status.accounts().add(&AccountSetup {
            name: &account.name,
            api: account.api.kind(),
            stale_after: account.api.link().stale_after,
            tasks: &self.tasks,
            failure_reasons: &REASONS,
        });
        let now = Instant::now();
        for ((_, interval), start) in self.tasks.into_iter().zip(self.loops) {
            let schedule = Schedule::new(interval, index, accounts, now);
            running.spawn(start(self.context.clone(), schedule));
        }
    }
}
