//! What calls cost: from journaled calls and the rate deck to journaled charges.
//!
//! For each entry of `charges` a thread reads the calls from the journal, behind the polls, and
//! appends their charges together with its own position. [`charges`] is a pure function of a batch
//! of calls, the deck as of that batch, and the rules.

mod charges;
mod current_deck;
mod cursor;
mod deck_file;
mod deck_rows;
mod engine;
mod error;
mod followed_file;
mod numbers;
#[cfg(test)]
mod random_tests;
mod set;
#[cfg(test)]
pub(crate) mod test_rig;
#[cfg(test)]
mod tests;
mod waiting;
mod words;

pub(crate) use charges::{INTERNAL, charge_call, is_selected};
pub(crate) use current_deck::{CurrentDeck, build};
pub(crate) use cursor::{cursor_of, deck_account};
pub(crate) use deck_file::deck_of_file;
pub(crate) use numbers::Dialled;
pub(crate) use set::{ChargeSet, cursors};
pub(crate) use words::describe;
