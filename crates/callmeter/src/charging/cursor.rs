//! Under which names the journal has the position and the rates of an entry.

use crate::config::{Charging, Deck};

/// The cursor of an entry. No output has a slash in its name.
pub(super) fn cursor_of(name: &str) -> String {
    format!("charges/{name}")
}

/// Under which account the rates of an entry are journaled.
pub(crate) fn deck_account(entry: &Charging) -> &str {
    match &entry.deck {
        Deck::Account(account) => account,
        Deck::File(_) => &entry.name,
    }
}
