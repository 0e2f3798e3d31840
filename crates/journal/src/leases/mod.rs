//! Which instance works on what: leases in the tables `leases` and `instances` of a server.
//!
//! A file has none: the one process that has locked it does everything.

pub(crate) mod claims;
pub(crate) mod fence;
pub(crate) mod held;
pub(crate) mod instance;
pub(crate) mod names;
pub(crate) mod round;
pub(crate) mod shares;
mod standings;
