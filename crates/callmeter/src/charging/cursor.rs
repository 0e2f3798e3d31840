//! Under which names the journal has the position and the rates of an entry.

use callmeter_journal::CHARGES_CURSOR;

use crate::config::{Charging, Deck};

/// The cursor of the entry of an account, which has only one. So an entry that gets another account
/// does not go on where it was with the one before. No output has a slash in its name.
pub(super) fn cursor_of(entry: &Charging) -> String {
    format!("{CHARGES_CURSOR}{}", entry.account)
}

/// Under which account the rates of an entry are journaled.
pub(crate) fn deck_account(entry: &Charging) -> &str {
    match &entry.deck {
        Deck::Account(account) => account,
        Deck::File(_) => &entry.name,
    }
}
