//! HostedSuite: call records, allowance balances, the client list.

mod backfill;
mod balances;
mod calls;
mod clients;
mod convert;
mod days;
mod period;
mod polls;
mod reader;
mod round;

pub use backfill::{Backfill, DayRead};
pub use days::Day;
pub(super) use polls::add_polls;
pub(super) use reader::CallsReader;
