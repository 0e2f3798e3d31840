//! The decks that `callmeter charges` rates by.

use std::collections::HashMap;
use std::path::Path;

use callmeter_journal::{BatchSeq, Reader};

use crate::charging::{self, CurrentDeck, Priced};
use crate::config::{self, Charging};
use crate::exit::Failure;
use crate::pipeline::journal_failure;

/// The decks that calls are rated by.
pub(super) enum Decks {
    /// As of each call, as they were charged.
    AsOfEachCall(Box<DecksOfEntries>),
    /// One for all. Its currency is that of `currency` if it has none.
    One {
        priced: Box<Priced>,
        currency: Box<CurrentDeck>,
    },
}

impl Decks {
    pub(super) fn find(
        reader: &mut Reader,
        entry: &Charging,
        deck: Option<&str>,
    ) -> Result<Self, Failure> {
        let Some(deck) = deck else {
            let entries = DecksOfEntries::new(reader, entry)?;
            return Ok(Self::AsOfEachCall(Box::new(entries)));
        };
        let (deck, currency) = if Path::new(deck).is_file() {
            let file = charging::deck_of_file(Path::new(deck), &entry.rating);
            (file.map_err(Failure::failed)?.built.deck, None)
        } else {
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
                    "there is no file {deck}, and the journal has no rates of an account {deck}"
                )));
            }
            let (built, _) = charging::build(&state, &entry.rating).map_err(Failure::failed)?;
            // The currency of the entry is that of its own deck.
            let is_other = account != charging::deck_account(entry);
            let currency = state.currency().filter(|_| is_other).map(str::to_owned);
            (built.deck, currency)
        };
        Ok(Self::One {
            priced: Box::new(Priced {
                deck,
                currency,
                fingerprint: String::new(),
            }),
            currency: Box::new(current_deck(reader, entry, charging::deck_account(entry))?),
        })
    }

    /// The deck and the currency for a batch of calls, and whether the deck is that of the entry
    /// `charged_by`. `None` while there is no deck.
    pub(super) fn for_calls(
        &mut self,
        reader: &mut Reader,
        calls: BatchSeq,
        charged_by: Option<&str>,
    ) -> Result<Option<(&Priced, String)>, Failure> {
        match self {
            Self::One { priced, currency } => {
                let currency = match &priced.currency {
                    Some(currency) => Some(currency.clone()),
                    None => currency
                        .currency_for(reader, calls)
                        .map_err(Failure::failed)?,
                };
                Ok(Some((priced, currency.unwrap_or_default())))
            }
            Self::AsOfEachCall(entries) => {
                let deck = entries.of(reader, charged_by)?;
                let priced = deck.for_calls(reader, calls).map_err(Failure::failed)?;
                let priced = priced.ok();
                Ok(priced.map(|priced| (priced, priced.currency.clone().unwrap_or_default())))
            }
        }
    }

    /// Whether calls are compared with the decks that they were charged by.
    pub(super) fn are_those_of_then(&self) -> bool {
        matches!(self, Self::AsOfEachCall(_))
    }
}

/// The deck of the entry, and those of the entries with other names that have charged its account:
/// the rates of a file are journaled under the name of the entry.
pub(super) struct DecksOfEntries {
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
