//! callmeter's journal: all records, watermarks and cursors in one durable log.
//!
//! The journal is the only source of truth: metrics, outputs and exports are derived from it, and
//! have the same values when they are derived again after a crash. It is one SQLite file
//! (write-ahead log, `synchronous=FULL`) that one process locks, or a schema on a PostgreSQL server
//! ([`Journal::connect`]). Both have the same tables, and the same statements read and write them.
//!
//! - A poll adds its calls through [`IngestSession`] and [`PageIngest`]. New and revised calls, the
//!   state of the account and the backlog of every output are committed in one transaction; the ids
//!   of the page are known only after that. The other streams are journaled on change
//!   ([`Journal::record_balances`], [`Journal::record_rates`], [`Journal::record_billing`]).
//! - A batch is a compressed Arrow record batch with a [`BatchSeq`]. Readers see whole batches, in
//!   order, on their own connections; a [`Reader`] also works from another process.
//! - An output has a cursor for each stream ([`Journal::acknowledge`]). Retention
//!   ([`Journal::retain`]) keeps the batches that an output has not acknowledged, that are within
//!   the lookback of an account, or that the last snapshot of the totals
//!   ([`Journal::store_snapshot`]) does not include.
//! - [`Reader::backup`] copies a file while it is written. [`Reader::verify`] reads all of it and
//!   checks that it is consistent.
//!
//! All times are UTC microseconds.

mod batch_log;
mod charges;
mod checksum;
mod cursors;
mod database;
mod ending;
mod error;
mod ingest;
mod journal;
mod leases;
mod location;
mod log;
mod maintenance;
mod postgres;
mod random;
mod rate_decks;
mod sqlite;
mod stored_batch;
mod utc_day;

pub use callmeter_records::{Backlog, BatchId, BatchSeq};
pub use charges::{NewCharges, RevisedRow};
pub use cursors::Start;
pub use database::error::DatabaseError;
pub use error::{JournalError, Result};
pub use ingest::change_streams::{Changes, DeckExtent};
pub use ingest::classification::{Classification, PageCounts};
pub use ingest::options::{PollOptions, Purpose};
pub use ingest::page::{Committed, PageIngest};
pub use ingest::session::IngestSession;
pub use journal::{Journal, Options};
pub use leases::claims::Claim;
pub use leases::held::InstanceOptions;
pub use leases::instance::Round;
pub use leases::names::{CHARGES_CURSOR, JOURNAL_LEASE, Work, account_lease, output_lease};
pub use location::{Location, ServerLocation};
pub use log::accounts::AccountState;
pub use log::coverage::{CoverageChange, DayCoverage, WalkPosition};
pub use log::cursor_rows::Cursor;
pub use log::reader::{Filter, Reader};
pub use maintenance::backup::BackedUp;
pub use maintenance::copy::Copied;
pub use maintenance::retention::{Hold, RetentionPolicy, RetentionReport};
pub use maintenance::stats::{Stats, StreamStats};
pub use maintenance::verify::{Finding, Verification};
pub use postgres::settings::{PostgresJournal, TlsMode};
pub use rate_decks::DeckState;
pub use sqlite::format::APPLICATION_ID;
pub use stored_batch::{BatchMeta, StoredBatch};
