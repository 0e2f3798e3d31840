//! The polls of an account at HostedSuite.

use std::sync::Arc;

use super::balances::BalancesTask;
use super::calls::CallsTask;
use super::clients::ClientsTask;
use super::clocks::WallClock;
use super::reader::{CallsReader, Connection};
use crate::config::HostedSuite;
use crate::sources::polls::Polls;

/// Adds the polls that are enabled.
pub(in crate::sources) fn add_polls(polls: &mut Polls, connection: &Connection, api: HostedSuite) {
    if let Some(config) = api.calls {
        let interval = config.every;
        let reader = CallsReader {
            context: polls.context(),
            connection: connection.clone(),
            config,
            zone: api.time_zone.clone(),
            clock: WallClock::system(),
        };
        polls.add(CallsTask::new(reader), interval);
    }
    if let Some(config) = api.balances {
        let interval = config.every;
        let task = BalancesTask {
            context: polls.context(),
            client: connection.client.clone(),
            config,
            zone: api.time_zone,
            counted: Arc::default(),
        };
        polls.add(task, interval);
    }
    if let Some(config) = api.clients {
        let task = ClientsTask {
            context: polls.context(),
            client: connection.client.clone(),
        };
        polls.add(task, config.every);
    }
}
