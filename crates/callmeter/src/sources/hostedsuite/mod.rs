//! HostedSuite: call records, allowance balances, the client list.

mod backfill;
mod balances;
mod calls;
mod clients;
mod convert;
mod days;
mod period;
mod polls;

pub use backfill::{Backfill, DayRead};
pub(super) use calls::CallsReader;
pub use days::Day;
pub(super) use polls::add_polls;
