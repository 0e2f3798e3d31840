//! Polling: each account by loops of its own, which never hold up or bring down another's.
//!
//! [`Supervisor`] starts and stops accounts; `runner` runs one poll at its `schedule`; what is asked of
//! an API and what becomes of the answer stands in `hostedsuite` and `portsip`.

mod account;
mod backfill;
mod blocking;
mod connect;
mod days;
mod error;
mod hostedsuite;
mod login_backoff;
mod portsip;
mod runner;
mod schedule;
mod supervisor;

pub use backfill::{Backfill, DayRead};
pub use days::Day;
pub use error::PollError;
pub use supervisor::{AccountError, Changes, Supervisor};
