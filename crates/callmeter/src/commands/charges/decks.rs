//! The decks that `callmeter charges` rates by.

use std::collections::HashMap;
use std::path::Path;

use callmeter_journal::{BatchSeq, Reader};
use callmeter_rating::Deck;

use crate::charging::{self, CurrentDeck};
use crate::config::{self, Charging};
use crate::exit::Failure;
use crate::pipeline::journal_failure;

/// The decks that calls are rated by.
pub(super) struct Decks {
    /// As of each call, as they were charged.
    then: DecksOfEntries,
    /// One for all calls instead.
    given: Option<Given>,
}

/// A deck that calls are rated by instead of the decks of then.
struct Given {
    deck: Deck,
    /// If there is none, the currency is that of each call.
    currency: Option<String>,
}

/// A deck for a batch of calls.
pub(super) struct Used<'d> {
    pub(super) deck: &'d Deck,
    pub(super) currency: String,
    /// Empty for a deck that was given.
    pub(super) fingerprint: &'d str,
}

impl Decks {
    pub(super) fn find(
        reader: &mut Reader,
        entry: &Charging,
        deck: Option<&str>,
    ) -> Result<Self, Failure> {
        let then = DecksOfEntries::new(reader, entry)?;
        let given = match deck {
            Some(deck) => Some(Given::find(reader, entry, deck)?),
            None => None,
        };
        Ok(Self { then, given })
    }

    /// The deck that a batch of calls of the entry `charged_by` was charged by. `None` while there
    /// is none.
    pub(super) fn of_then(
        &mut self,
        reader: &mut Reader,
        calls: BatchSeq,
        charged_by: Option<&str>,
    ) -> Result<Option<Used<'_>>, Failure> {
        let deck = self.then.of(reader, charged_by)?;
        let priced = deck.for_calls(reader, calls).map_err(Failure::failed)?;
        Ok(priced.ok().map(|priced| Used {
            deck: &priced.deck,
            currency: priced.currency.clone().unwrap_or_default(),
            fingerprint: &priced.fingerprint,
        }))
    }

    /// The deck that was given, for a batch of calls. `None` if none was given.
    pub(super) fn given(
        &mut self,
        reader: &mut Reader,
        calls: BatchSeq,
    ) -> Result<Option<Used<'_>>, Failure> {
        let Some(given) = &self.given else {
            return Ok(None);
        };
        let currency = match &given.currency {
            Some(currency) => Some(currency.clone()),
            None => self
                .then
                .own
                .currency_for(reader, calls)
                .map_err(Failure::failed)?,
        };
        Ok(Some(Used {
            deck: &given.deck,
            currency: currency.unwrap_or_default(),
            fingerprint: "",
        }))
    }
}

impl Given {
    fn find(reader: &mut Reader, entry: &Charging, deck: &str) -> Result<Self, Failure> {
        if Path::new(deck).is_file() {
            let file = charging::deck_of_file(Path::new(deck), &entry.rating);
            return Ok(Self {
                deck: file.map_err(Failure::failed)?.built.deck,
                currency: None,
            });
        }
        let account = if deck == entry.name {
            charging::deck_account(entry)
        } else {
            deck
        };
        let state = reader
            .deck_state(account, BatchSeq(u64::MAX))
            .map_err(journal_failure)?;
        if !state.has_rates() {
            return Err(Failure::failed(format!(
                "--deck: there is no file {deck}, and the journal has no rates of an account {deck}"
            )));
        }
        let (built, _) = charging::build(&state, &entry.rating).map_err(Failure::failed)?;
        // The currency of the entry is that of its own deck.
        let is_other = account != charging::deck_account(entry);
        Ok(Self {
            deck: built.deck,
            currency: state.currency().filter(|_| is_other).map(str::to_owned),
        })
    }
}

/// The deck of the entry, and those of the entries with other names that have charged its account:
/// the rates of a file are journaled under the name of the entry.
struct DecksOfEntries {
    entry: Charging,
    own: CurrentDeck,
    others: HashMap<String, Option<CurrentDeck>>,
}

impl DecksOfEntries {
    fn new(reader: &mut Reader, entry: &Charging) -> Result<Self, Failure> {
        Ok(Self {
            entry: entry.clone(),
            own: current_deck(reader, entry, charging::deck_account(entry))?,
            others: HashMap::new(),
        })
    }

    fn of(
        &mut self,
        reader: &mut Reader,
        charged_by: Option<&str>,
    ) -> Result<&mut CurrentDeck, Failure> {
        let is_file = matches!(self.entry.deck, config::Deck::File(_));
        let other = charged_by.filter(|name| *name != self.entry.name && is_file);
        let Some(name) = other else {
            return Ok(&mut self.own);
        };
        if !self.others.contains_key(name) {
            let all = BatchSeq(u64::MAX);
            let state = reader.deck_state(name, all).map_err(journal_failure)?;
            let deck = if state.has_rates() {
                Some(current_deck(reader, &self.entry, name)?)
            } else {
                None
            };
            self.others.insert(name.to_owned(), deck);
        }
        let other = self.others.get_mut(name).and_then(Option::as_mut);
        Ok(other.unwrap_or(&mut self.own))
    }
}

fn current_deck(
    reader: &mut Reader,
    entry: &Charging,
    account: &str,
) -> Result<CurrentDeck, Failure> {
    let currency = entry.currency.as_deref();
    CurrentDeck::new(reader, account, currency, &entry.rating, BatchSeq::START)
        .map_err(Failure::failed)
}
