//! The log of batches: append, read, and what is stored with them.

pub(crate) mod accounts;
pub(crate) mod append;
pub(crate) mod batch_row;
pub(crate) mod codec;
pub(crate) mod coverage;
pub(crate) mod cursor_rows;
pub(crate) mod epochs;
pub(crate) mod follower;
pub(crate) mod head;
pub(crate) mod keys;
pub(crate) mod latest_versions;
pub(crate) mod migration;
pub(crate) mod reader;
pub(crate) mod renumber;
pub(crate) mod row_check;
pub(crate) mod schema_ids;
pub(crate) mod shared;
pub(crate) mod source;
pub(crate) mod tail;
pub(crate) mod writer;
