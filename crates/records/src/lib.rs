//! The vocabulary of callmeter's data path and its Arrow schemas.
//!
//! A builder ([`CallsBuilder`] and its siblings) writes a record once, from borrowed values
//! ([`Call`] …). From then on the record travels as an Arrow
//! [`RecordBatch`](arrow_array::RecordBatch) of one [`Stream`]: into the journal, through the
//! meter, to the outputs. A view ([`CallsView`] …) reads such a batch row by row, finding its
//! columns by name, so that a batch with columns added later still reads.
//!
//! The columns of each stream are a table in `callmeter-record-tables`; all of the above is made
//! from it.
//!
//! What the upstream wrote and what could be read of it are kept apart: see [`Reading`] and the
//! column `unreadable`. Times become UTC here ([`TimeReader`]); durations are whole milliseconds,
//! money decimals ([`money`]).

pub mod balances;
mod batch;
mod batch_log;
pub mod billing;
pub mod calls;
pub mod charges;
mod column_lookup;
mod common;
mod hash;
mod id;
mod lists;
pub mod money;
pub mod rates;
mod reading;
mod schemas;
mod stream;
mod table;
mod time;
mod unreadable;

pub use balances::{Balance, BalancesBuilder, BalancesView};
pub use batch::{Backlog, Batch, BatchId, BatchSeq};
pub use batch_log::{BatchLog, BatchLogError};
pub use billing::{Billing, BillingBuilder, BillingView};
pub use calls::{Call, CallField, CallsBuilder, CallsView, Direction, Interaction, Previous};
pub use charges::{Charge, ChargesBuilder, ChargesView};
pub use column_lookup::ViewError;
pub use common::{BatchHead, Change, CommonView, RowMark};
pub use hash::FieldHasher;
pub use id::{CanonicalId, id_hash};
pub use rates::{Rate, RatesBuilder, RatesView};
pub use reading::Reading;
pub use stream::{ParseStreamError, Stream};
pub use time::{TimeReader, UnknownZone};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
