//! From the pages of a poll to the log: which records are new, and which are known.

pub(crate) mod account_memory;
pub(crate) mod change_streams;
pub(crate) mod classification;
pub(crate) mod classify;
pub(crate) mod identity;
pub(crate) mod known_ids;
pub(crate) mod old_ids;
pub(crate) mod options;
pub(crate) mod page;
pub(crate) mod repeats;
pub(crate) mod session;
pub(crate) mod stored_calls;
pub(crate) mod watermark;
