//! callmeter's journal: every record, watermark and cursor, in one durable log.
//!
//! The journal is the only truth: metrics, outputs and exports are derived from it, and after a crash derived again to
//! the same figures. It is one SQLite file (write-ahead log, `synchronous=FULL`) that one process holds at a time.
//!
//! - A poll brings its pages through [`CallsPoll`] and [`CallsPage`]: what is new or changed, the account's state and
//!   the backlog of every output commit in one transaction. Only after it are the page's ids known.
//!   Streams that are journaled on change only come in by [`Journal::record_balances`] and its siblings.
//! - A batch is a packed Arrow record batch under a [`BatchSeq`]; readers see whole batches, in order, on connections
//!   of their own ([`Reader`] also from another process).
//! - An output has a cursor for each stream ([`Journal::acknowledge`]); retention ([`Journal::retain`]) does not pass
//!   it, nor the lookback of an account, nor the last snapshot of the totals ([`Journal::store_snapshot`]).
//! - [`Reader::verify`] reads all of it and checks it against itself.
//!
//! All times are UTC microseconds.

mod account;
mod checksum;
mod codec;
mod connection;
mod error;
mod format;
mod ids;
mod intake;
mod journal;
mod keys;
mod known;
mod latest;
mod lock;
mod memory;
mod outputs;
mod reader;
mod retention;
mod seq;
mod snapshots;
mod stats;
mod tail;
mod time;
mod verdict;
mod verify;
mod writer;

pub use account::AccountState;
pub use error::{JournalError, Result};
pub use intake::{CallsPage, CallsPoll, Committed};
pub use journal::{Journal, Options};
pub use latest::Changes;
pub use outputs::{Backlog, Cursor, Start};
pub use reader::{Filter, Reader};
pub use retention::{Hold, RetentionPolicy, RetentionReport};
pub use seq::{BatchId, BatchMeta, BatchSeq, StoredBatch};
pub use stats::{Stats, StreamStats};
pub use verdict::{PageCounts, PollOptions, Purpose, Verdict};
pub use verify::{Finding, Verification};
