//! The totals as bytes, in all versions of the format.

mod account;
pub(crate) mod bytes;
mod histograms;
mod ledger;
mod versions;
