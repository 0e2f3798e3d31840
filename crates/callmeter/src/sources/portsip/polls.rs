//! The polls of a tenant at a PortSIP PBX.

use portsip_client::Session;

use super::billing::BillingTask;
use super::rates::RatesTask;
use crate::config::PortSip;
use crate::sources::polls::Polls;

/// Adds the polls that are enabled.
pub(in crate::sources) fn add_polls(polls: &mut Polls, session: &Session, api: &PortSip) {
    if let Some(config) = &api.billing {
        let task = BillingTask::new(polls.context(), session.clone());
        polls.add(task, config.every);
    }
    if let Some(config) = &api.rates {
        let task = RatesTask::new(polls.context(), session.clone());
        polls.add(task, config.every);
    }
}
