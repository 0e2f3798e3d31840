//! The SQLite file: connections, format, backups, and the lock file.

pub(crate) mod connection;
pub(crate) mod engine;
pub(crate) mod format;
pub(crate) mod lock;
