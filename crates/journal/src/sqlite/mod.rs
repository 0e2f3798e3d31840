//! The SQLite file: connections, format, checksums of rows, and the lock beside it.

pub(crate) mod checksum;
pub(crate) mod connection;
pub(crate) mod format;
pub(crate) mod lock;
