//! Runs a plugin in a child process, so that a crash does not reach callmeter.
//!
//! The child is callmeter itself, started as `callmeter plugin-child`. It receives requests on its
//! standard input, with batches as Arrow IPC, and replies on its standard output. When the child
//! ends, the instance has failed; the delivery loop starts another one and sends again what was not
//! durable.

mod child;
mod parent;
mod protocol;

pub use child::{CHILD_ARGUMENT, child_main};
pub(crate) use parent::ChildMaker;
pub use parent::check_settings;
