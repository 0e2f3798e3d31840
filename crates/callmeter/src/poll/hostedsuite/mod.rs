//! HostedSuite: what is asked of it and what becomes of the answers.

mod balances;
mod calls;
mod convert;

pub(super) use balances::{BalancesTask, ClientsTask};
pub(crate) use calls::CallsReader;
pub(super) use calls::CallsTask;
