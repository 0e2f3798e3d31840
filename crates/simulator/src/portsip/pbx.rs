//! The state of the PBX.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;

use super::account::Account;
use super::deck::Deck;
use super::seeding;
use super::tokens::Tokens;
use crate::charges::TariffTruth;
use crate::ledger::PortSipTruth;
use crate::options::Options;

/// The PBX's tokens, account and rates.
#[derive(Debug)]
pub(crate) struct Pbx {
    seed: u64,
    tokens: Mutex<Tokens>,
    account: Mutex<Account>,
    deck: RwLock<Deck>,
    pub(super) writes_refused: AtomicU64,
}

impl Pbx {
    pub(crate) fn new(options: &Options, start: Timestamp) -> Self {
        Self {
            seed: options.seed,
            tokens: Mutex::new(Tokens::new(options.seed, options.token_seconds)),
            account: Mutex::new(Account::new(start.as_millisecond())),
            deck: RwLock::new(Deck::new(seeding::rates(options.seed, options.rates))),
            writes_refused: AtomicU64::new(0),
        }
    }

    pub(crate) fn truth(&self, now: i64) -> PortSipTruth {
        let deck = self.deck();
        let mut by_type = BTreeMap::new();
        for rate in deck.by_prefix() {
            *by_type.entry(rate.kind.name().to_owned()).or_default() += 1;
        }
        let account = self.account();
        PortSipTruth {
            rates: deck.by_prefix().len() as u64,
            rates_by_type: by_type,
            rates_changed: deck.changes(),
            balance: account.balance(now).to_string(),
            billing_enabled: account.billing.enabled,
            writes_refused: self.writes_refused.load(Ordering::Relaxed),
        }
    }

    /// The figures of all rates.
    pub(crate) fn tariffs(&self) -> Vec<TariffTruth> {
        let deck = self.deck();
        deck.by_prefix().iter().map(|rate| rate.tariff()).collect()
    }

    /// Changes, adds or removes a rate, as an administrator would.
    pub(crate) fn change_deck(&self) {
        let mut deck = self.deck_mut();
        let number = deck.changes();
        seeding::change(&mut deck, self.seed, number);
    }

    /// Invalidates the access token in a header.
    pub(crate) fn expire(&self, authorization: &str) {
        self.tokens().forget(authorization);
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn deck(&self) -> RwLockReadGuard<'_, Deck> {
        self.deck.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn deck_mut(&self) -> RwLockWriteGuard<'_, Deck> {
        self.deck.write().unwrap_or_else(PoisonError::into_inner)
    }
}
