//! Under which names the journal has the position and the rates of an entry.

use callmeter_journal::CHARGES_CURSOR;

use crate::config::{Charging, Deck};

/// The cursor of an entry. It is named after the account, which has only one entry: an entry that
/// gets another account starts with the calls of that one. No output has a slash in its name.
pub(crate) fn cursor_of(entry: &Charging) -> String {
    format!("{CHARGES_CURSOR}{}", entry.account)
}

/// Under which account the rates of an entry are journaled.
pub(crate) fn deck_account(entry: &Charging) -> &str {
    match &entry.deck {
        Deck::Account(account) => account,
        Deck::File(_) => &entry.name,
    }
}
