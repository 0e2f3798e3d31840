//! Callmeter's meter: a ledger that counts records, the family table, and immutable snapshots.
//!
//! - The [family table](FamilyId) is the single source of every metric's name, type, unit, help and
//!   labels, including the metrics in the registry of the `prometheus` crate.
//! - The [`Ledger`] counts the journal's batches in integers: calls, histograms of their times, and
//!   corrections. Its totals are a pure function of the batches. They can be stored as bytes
//!   ([`Ledger::encode`]) or counted again, with the same result.
//! - The [`Meter`] shares a ledger between the pollers of all accounts and gives [`Snapshot`]s to
//!   readers without making them wait.
//!
//! [`Limits`] sets the cap on label sets, beyond which calls are counted under `client_id="other"`.
//! No counter decreases when a call is edited: a value that was unknown before is observed, and any
//! other difference goes, with its sign, to the corrections.

mod amount;
mod applied;
mod apply;
mod bucket_of;
mod call_rows;
mod charge_totals;
mod client_facts;
mod codec;
mod counted_call;
mod families;
mod family;
mod folding;
mod histogram;
mod hours;
mod label_text;
mod ledger;
#[cfg(test)]
mod lint;
mod meter;
mod native_buckets;
mod operators;
mod polled;
mod recent_centers;
pub mod reference;
mod rules;
mod series_tables;
mod snapshot;
mod table;
mod text_hash;
mod totals;
mod view;

pub use amount::{Amount, Scale};
pub use apply::ApplyError;
pub use bucket_of::BOUNDS_MS;
pub use client_facts::{Allowance, AllowanceUse, Client};
pub use codec::bytes::BlobError;
pub use counted_call::{CallTime, Count, UNKNOWN_ID};
pub use families::FamilyId;
pub use family::{Family, MetricType, Source};
pub use folding::{FOLDED_ID, Limits};
pub use histogram::{
    BOUNDS_SECONDS, BUCKETS, HistogramColumn, HistogramRow, NATIVE_SCHEMA, NATIVE_ZERO_THRESHOLD,
    NativeBucket,
};
pub use hours::{HOURS_KEPT, HourFigures, IN_TIME_MS};
pub use label_text::{EncodedLabels, LONGEST_LABEL, LabelBlock, bounded, pairs};
pub use ledger::{AccountGauges, Api, Ledger};
pub use meter::Meter;
pub use polled::{Billing, RateDeck};
pub use snapshot::{Block, Position, Snapshot, Values};
pub use view::{DEFAULT_BOUNDS_MS, DEFAULT_HISTOGRAMS, HISTOGRAMS, OPTIONAL_LABELS, View};
