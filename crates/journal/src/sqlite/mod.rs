//! The SQLite file: connections, format, backups, and the lock beside it.

pub(crate) mod connection;
pub(crate) mod engine;
pub(crate) mod format;
pub(crate) mod lock;
