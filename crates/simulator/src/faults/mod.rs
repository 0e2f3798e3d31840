//! The unpleasant things that the servers can be asked to do.
//!
//! [`settings`] says what there is to set, [`merge`] reads it from a command
//! line or a control request, [`timeline`] remembers when a record fault was in
//! force, and [`requests`] decides which requests are hit.

mod kinds;
mod merge;
mod requests;
mod timeline;

pub use kinds::{
    Echo, EchoEncoding, Edits, Faults, Hit, Late, Latency, RefusedLogin, ServerError, Share,
    Shifts, Stall, Throttle, Totals,
};
pub use merge::{FaultsError, describe_faults};

pub(crate) use requests::{Delivery, Instead, Plan, RequestFaults, Side};
pub(crate) use timeline::Timeline;
