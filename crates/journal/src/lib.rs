//! callmeter's journal: every record, watermark and cursor, in one durable log.
//!
//! The journal is the only truth: metrics, outputs and exports are derived from it, and after a crash derived again to
//! the same figures. It is one SQLite file (write-ahead log, `synchronous=FULL`) that one process holds at a time.
//!
//! - A poll brings its pages through [`IngestSession`] and [`PageIngest`]: what is new or changed, the account's state and
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
mod change_streams;
mod checksum;
mod classification;
mod codec;
mod connection;
mod error;
mod format;
mod ids;
mod ingest;
mod journal;
mod keys;
mod known;
mod lock;
mod memory;
mod outputs;
mod reader;
mod retention;
mod snapshots;
mod stats;
mod stored_batch;
mod tail;
mod time;
mod verify;
mod writer;

pub use account::AccountState;
pub use callmeter_records::{Backlog, BatchId, BatchSeq};
pub use change_streams::Changes;
pub use classification::{Classification, PageCounts, PollOptions, Purpose};
pub use error::{JournalError, Result};
pub use ingest::{Committed, IngestSession, PageIngest};
pub use journal::{Journal, Options};
pub use outputs::{Cursor, Start};
pub use reader::{Filter, Reader};
pub use retention::{Hold, RetentionPolicy, RetentionReport};
pub use stats::{Stats, StreamStats};
pub use stored_batch::{BatchMeta, StoredBatch};
pub use verify::{Finding, Verification};
