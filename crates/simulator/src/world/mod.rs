//! The data behind the two servers: people, calls and their texts.
//!
//! [`people`] and [`calls`] are computed from the seed. [`text`] computes the texts of a call when
//! it is read, so that a call takes 40 bytes here and 700 on the wire. [`view`] is what a reader
//! sees of the [`world`] at a time.

mod calls;
mod names;
mod people;
mod text;
mod view;
#[expect(
    clippy::module_inception,
    reason = "the type of this name has its own file"
)]
mod world;

pub(crate) use calls::{Direction, LONGEST_CALL_MS, SimulatedCall};
pub(crate) use people::Allowance;
pub(crate) use text::{CallId, Words};
pub(crate) use view::{Facts, RecordFaults, View};
pub(crate) use world::World;
