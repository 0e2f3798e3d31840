//! Call records: the vocabulary and the schema `calls/1`.

mod direction;
mod fields;
pub(crate) mod interactions;
mod previous;
mod stream;
#[cfg(test)]
mod tests;

pub use direction::Direction;
pub use fields::CallField;
pub use interactions::Interaction;
pub use previous::Previous;
pub use stream::{Call, CallRow, CallsBuilder, CallsView, schema};
