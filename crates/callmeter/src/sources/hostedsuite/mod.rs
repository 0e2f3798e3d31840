//! HostedSuite: call records, allowance balances, the client list.

mod backfill;
mod backfill_requests;
mod balances;
mod budget;
mod calls;
mod calls_poll;
mod clients;
mod clocks;
mod convert;
mod coverage;
mod days;
mod intervals;
mod known_texts;
#[cfg(test)]
mod model;
mod open_reading;
mod outside;
mod period;
mod period_calls;
mod polls;
mod reader;
mod readings;
mod summary;
mod tail;

pub use backfill::{Backfill, DayRead};
pub use backfill_requests::{BackfillProgress, BackfillRequests};
pub use budget::Budgets;
pub(super) use clocks::WallClock;
pub use days::Day;
pub(super) use known_texts::KnownTexts;
pub(super) use polls::add_polls;
pub(super) use reader::{CallsReader, Connection, Retries};
