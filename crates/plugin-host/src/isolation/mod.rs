//! A plugin in a child process: what it does to its process, it does not do to callmeter.
//!
//! The child is callmeter again, started as `callmeter plugin-child`. It gets everything over its
//! standard input, batches as Arrow IPC, and answers over its standard output. When it ends, for
//! whatever reason, the instance has failed: the delivery loop starts another and sends again what
//! was not durable.

mod child;
mod parent;
mod protocol;

pub use child::child_main;
pub(crate) use parent::ChildMaker;
