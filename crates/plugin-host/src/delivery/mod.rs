//! Delivery: one thread for each output, which feeds its plugin from the journal.

mod feed;
mod session;
pub(crate) mod shared;
mod window;

pub(crate) use session::{Delivery, MakeSink};
