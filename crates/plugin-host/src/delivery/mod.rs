//! Delivery: one thread for each output, which feeds its plugin from the journal.

mod context;
mod feed;
mod flush;
mod refuse;
mod run;
mod session;
pub(crate) mod shared;
mod thread;
mod window;
mod write;

pub(crate) use thread::{Delivery, Down, MakeSink};
