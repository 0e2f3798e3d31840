//! The faults that the servers can be told to have.
//!
//! [`kinds`] lists the faults, the modules beside it define their settings, [`merge`] reads them
//! from a command line or a control request, [`timeline`] remembers when a fault of records was
//! active, and [`plan`] decides what happens to a request.

mod answer_kinds;
mod bounds;
mod kinds;
mod merge;
mod plan;
mod record_kinds;
mod request_kinds;
mod timeline;

pub use answer_kinds::{EmptyPage, IdSpelling, IdStyle, PageZero, TimeStyle, Totals};
pub use kinds::Faults;
pub use merge::{FaultsError, describe_faults};
pub use record_kinds::{
    Edits, Flapping, Late, MovedStarts, NoStart, Share, Shifts, StartStyle, TalkStyle, UnknownTalk,
};
pub use request_kinds::{
    Echo, EchoEncoding, FailedDay, FailedPage, Hit, Latency, RefusedLogin, ServerError, Stall,
    Throttle,
};

pub(crate) use plan::{Delivery, Instead, Plan, RequestFaults};
pub(crate) use timeline::Timeline;
