//! Records in, totals out: callmeter's ledger, its family table and its immutable snapshots.
//!
//! - The [family table](FamilyId) is the single source of every metric's name, type, unit, help and labels, also of those that live in
//!   the `prometheus` crate's registry.
//! - The [`Ledger`] counts the journal's batches in integers: calls, histograms of their times, corrections. Its totals are a pure
//!   function of the batches, so that they can be kept as bytes ([`Ledger::encode`]) or counted again from nothing, to the same bytes.
//! - The [`Meter`] shares a ledger between the accounts' pollers and gives out [`Snapshot`]s of it, which readers take without
//!   waiting.
//!
//! What a label set is, and when it is counted under `client_id="other"`: see [`Limits`]. What an edit of a call does: no counter ever
//! goes down; a value that was unknown and is known now is observed; any other difference goes, signed, to the corrections.

mod amount;
mod apply;
mod call;
mod families;
mod family;
mod histogram;
mod label_text;
mod ledger;
#[cfg(test)]
mod lint;
mod meter;
mod polled;
pub mod reference;
mod snapshot;
mod snapshot_codec;
mod table;
mod totals;

pub use amount::{Amount, Scale};
pub use apply::ApplyError;
pub use call::{Count, FOLDED_ID, UNKNOWN_ID};
pub use family::{Family, FamilyId, Kind, Source};
pub use histogram::{
    BOUNDS_MS, BOUNDS_SECONDS, BUCKETS, HistogramColumn, HistogramRow, NATIVE_SCHEMA,
    NATIVE_ZERO_THRESHOLD, NativeBucket,
};
pub use label_text::{EncodedLabels, LabelBlock, pairs};
pub use ledger::{AccountGauges, Api, Ledger, Limits};
pub use meter::Meter;
pub use polled::{Allowance, AllowanceUse, Billing, Client, RateDeck};
pub use snapshot::{Block, Position, Snapshot, Values};
pub use snapshot_codec::BlobError;
