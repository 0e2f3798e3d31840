//! The sources of records: the accounts at HostedSuite and PortSIP. Each account is polled by its
//! own tasks, which neither delay nor stop those of another account.
//!
//! `Supervisor` starts and stops accounts, `runner` polls one task at its `schedule`, all on the
//! thread of `poll_runtime` for each API. What is requested from an API, and what happens to the
//! response, is in `hostedsuite` and `portsip`.

mod account;
mod blocking;
mod connect;
mod error;
mod host_limits;
mod hostedsuite;
mod login_backoff;
mod poll;
mod poll_runtime;
mod polls;
mod portsip;
mod runner;
mod schedule;
mod supervisor;

pub use account::{BackfillError, backfill};
pub use error::PollError;
pub use host_limits::HostLimits;
pub use hostedsuite::{Backfill, BackfillProgress, BackfillRequests, Budgets, Day, DayRead};
pub(crate) use portsip::OwnedDeck;
pub use supervisor::{AccountError, Changes, Supervisor};
