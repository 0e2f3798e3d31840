//! The faults that the servers can be told to have.
//!
//! [`kinds`] lists the faults, [`merge`] reads them from a command line or a control request,
//! [`timeline`] remembers when a fault of records was active, and [`plan`] decides what happens to a
//! request.

mod kinds;
mod merge;
mod plan;
mod timeline;

pub use kinds::{
    Echo, EchoEncoding, Edits, Faults, Hit, Late, Latency, RefusedLogin, ServerError, Share,
    Shifts, Stall, Throttle, Totals,
};
pub use merge::{FaultsError, describe_faults};

pub(crate) use plan::{Delivery, Instead, Plan, RequestFaults};
pub(crate) use timeline::Timeline;
