//! Polling: each account by loops of its own, which never hold up or bring down another's.

pub mod schedule;
pub mod windows;
