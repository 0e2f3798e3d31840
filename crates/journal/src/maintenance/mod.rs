//! Work on the whole journal: retention, verification, statistics, backups, and snapshots of the
//! totals.

pub(crate) mod backup;
pub(crate) mod clock;
pub(crate) mod compare;
pub(crate) mod copy;
pub(crate) mod retention;
mod room;
pub(crate) mod snapshots;
pub(crate) mod stats;
pub(crate) mod verify;
