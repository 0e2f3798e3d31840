//! PortSIP PBX: logins, the tenant's billing and the rate deck.
//!
//! [`routes`] says what answers which path. [`tokens`] are what a login is
//! exchanged for, [`account`] is the tenant's money, [`deck`] the rates, and
//! [`query`] the language of the list's parameters.

mod account;
mod deck;
mod error;
mod query;
mod rate;
mod routes;
mod seeding;
mod tokens;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;

pub(crate) use error::ApiError;
pub(crate) use routes::router;

use crate::ledger::PortSipTruth;
use crate::options::Options;
use account::Account;
use deck::Deck;
use tokens::Tokens;

/// What the PBX remembers.
#[derive(Debug)]
pub(crate) struct Pbx {
    seed: u64,
    tokens: Mutex<Tokens>,
    account: Mutex<Account>,
    deck: RwLock<Deck>,
    writes_refused: AtomicU64,
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

    /// Changes, adds or removes a rate, as an administrator does meanwhile.
    pub(crate) fn change_deck(&self) {
        let mut deck = self.deck_mut();
        let number = deck.changes();
        seeding::change(&mut deck, self.seed, number);
    }

    /// Forgets the access token that a header carries.
    pub(crate) fn expire(&self, authorization: &str) {
        self.tokens().forget(authorization);
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deck(&self) -> RwLockReadGuard<'_, Deck> {
        self.deck.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn deck_mut(&self) -> RwLockWriteGuard<'_, Deck> {
        self.deck.write().unwrap_or_else(PoisonError::into_inner)
    }
}
