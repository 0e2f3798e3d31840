//! The deck of an entry as it is for the calls that are charged next.

use callmeter_journal::{BatchSeq, DeckState, Journal, Reader, StoredBatch};
use callmeter_rating::{Built, Deck, Options};
use callmeter_records::{FieldHasher, Rate, Stream};
use tracing::{info, warn};

use super::charges::Priced;
use super::deck_rows::rating_row;
use super::error::ChargingError;

/// A journal that is written, or one that is only read.
pub(crate) trait DeckJournal {
    /// See [`Reader::deck_state`].
    fn deck_state(&mut self, account: &str, through: BatchSeq) -> Result<DeckState, ChargingError>;
    /// See [`Reader::next_deck_change`].
    fn next_deck_change(
        &mut self,
        account: &str,
        stream: Stream,
        after: BatchSeq,
    ) -> Result<Option<StoredBatch>, ChargingError>;
}

macro_rules! deck_journal {
    ($journal:ident) => {
        impl DeckJournal for $journal {
            fn deck_state(
                &mut self,
                account: &str,
                through: BatchSeq,
            ) -> Result<DeckState, ChargingError> {
                Ok($journal::deck_state(self, account, through)?)
            }

            fn next_deck_change(
                &mut self,
                account: &str,
                stream: Stream,
                after: BatchSeq,
            ) -> Result<Option<StoredBatch>, ChargingError> {
                Ok($journal::next_deck_change(self, account, stream, after)?)
            }
        }
    };
}

deck_journal!(Journal);
deck_journal!(Reader);

/// Why calls wait: there is no deck that they can be charged by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoDeck {
    /// No rates were journaled.
    #[error("was not read yet")]
    NotRead,
    /// All rates were removed.
    #[error("has no rates")]
    Empty,
    /// Every rate has something wrong.
    #[error("has no rate that can be used; the first problem: {0}")]
    NoUsableRate(String),
    /// The rates are known.
    #[error("has no currency yet: billing settings were not read, or do not say it")]
    NoCurrency,
}

/// The deck of an account of the journal, which moves forward with the calls.
///
/// The deck of a batch of calls has all rates that were journaled before it. If none of these can
/// be used, it is the first later deck with a rate that can. The currency is found in the same way,
/// on its own. So both are the same whenever they are computed.
pub(crate) struct CurrentDeck {
    /// The account of the rates.
    account: String,
    options: Options,
    state: DeckState,
    /// The last batch of rates that `state` includes.
    through: BatchSeq,
    /// What was made of `state`; `None` if it was not made yet.
    priced: Option<Result<Priced, NoDeck>>,
    currency: CurrentCurrency,
}

impl CurrentDeck {
    /// The deck after batch `through`. `currency` replaces that of the account.
    pub(crate) fn new(
        journal: &mut impl DeckJournal,
        account: &str,
        currency: Option<&str>,
        options: &Options,
        through: BatchSeq,
    ) -> Result<Self, ChargingError> {
        let state = journal.deck_state(account, through)?;
        let currency = match currency {
            Some(currency) => CurrentCurrency::Configured(currency.to_owned()),
            None => CurrentCurrency::OfAccount {
                known: state.currency().map(str::to_owned),
                through,
            },
        };
        Ok(Self {
            account: account.to_owned(),
            options: options.clone(),
            state,
            through,
            priced: None,
            currency,
        })
    }

    /// The deck for a batch of calls, or why there is none yet.
    pub(crate) fn for_calls(
        &mut self,
        journal: &mut impl DeckJournal,
        calls: BatchSeq,
    ) -> Result<Result<&Priced, NoDeck>, ChargingError> {
        while let Some(change) =
            journal.next_deck_change(&self.account, Stream::Rates, self.through)?
        {
            if change.meta.seq > calls && self.priced()?.is_ok() {
                break;
            }
            if self.state.apply(&change)? {
                self.priced = None;
            }
            self.through = change.meta.seq;
        }
        let currency = self.currency.for_calls(journal, &self.account, calls)?;
        Ok(match (self.priced()?, currency) {
            (Err(why), _) => Err(why.clone()),
            (Ok(_), None) => Err(NoDeck::NoCurrency),
            (Ok(priced), Some(currency)) => {
                if priced.currency.as_ref() != Some(&currency) {
                    priced.currency = Some(currency);
                }
                Ok(priced)
            }
        })
    }

    /// The currency for a batch of calls; `None` if it is not known yet.
    pub(crate) fn currency_for(
        &mut self,
        journal: &mut impl DeckJournal,
        calls: BatchSeq,
    ) -> Result<Option<String>, ChargingError> {
        self.currency.for_calls(journal, &self.account, calls)
    }

    fn priced(&mut self) -> Result<&mut Result<Priced, NoDeck>, ChargingError> {
        let priced = match self.priced.take() {
            Some(priced) => priced,
            None => price(&self.account, &self.state, &self.options)?,
        };
        Ok(self.priced.insert(priced))
    }
}

/// The currency of a deck, which moves forward with the calls.
enum CurrentCurrency {
    Configured(String),
    OfAccount {
        known: Option<String>,
        /// The last batch of billing settings that was looked at.
        through: BatchSeq,
    },
}

impl CurrentCurrency {
    fn for_calls(
        &mut self,
        journal: &mut impl DeckJournal,
        account: &str,
        calls: BatchSeq,
    ) -> Result<Option<String>, ChargingError> {
        let (known, through) = match self {
            Self::Configured(currency) => return Ok(Some(currency.clone())),
            Self::OfAccount { known, through } => (known, through),
        };
        while let Some(change) = journal.next_deck_change(account, Stream::Billing, *through)? {
            if change.meta.seq > calls && known.is_some() {
                break;
            }
            let mut settings = DeckState::default();
            settings.apply(&change)?;
            if let Some(currency) = settings.currency() {
                *known = Some(currency.to_owned());
            }
            *through = change.meta.seq;
        }
        Ok(known.clone())
    }
}

fn price(
    account: &str,
    state: &DeckState,
    options: &Options,
) -> Result<Result<Priced, NoDeck>, ChargingError> {
    if state.rates() == 0 {
        return Ok(Err(if state.has_rates() {
            NoDeck::Empty
        } else {
            NoDeck::NotRead
        }));
    }
    let (built, fingerprint) = build(state, options)?;
    let first = built.problems.first();
    if !built.deck.has_usable_rate() {
        let first = first.map_or_else(String::new, ToString::to_string);
        return Ok(Err(NoDeck::NoUsableRate(first)));
    }
    info!(
        deck = account,
        prefixes = built.deck.len(),
        fingerprint,
        "rate deck in use"
    );
    if let Some(problem) = first {
        warn!(
            deck = account,
            unusable = built.bad_rows,
            duplicates = built.duplicates,
            first = %problem,
            "rates of the deck that are not used"
        );
    }
    Ok(Ok(Priced {
        deck: built.deck,
        currency: None,
        fingerprint,
    }))
}

/// Builds the deck of a state, and its fingerprint.
pub(crate) fn build(
    state: &DeckState,
    options: &Options,
) -> Result<(Built, String), ChargingError> {
    let mut hasher = FieldHasher::new();
    let options_text = format!("{options:?}");
    let mut fingerprint = Rate {
        description: Some(&options_text),
        ..Rate::default()
    }
    .fingerprint(&mut hasher);
    let mut rates = OwnedRates::default();
    state.for_each_rate(|rate| {
        // The order in which rates were journaled is no part of it.
        fingerprint = fingerprint.wrapping_add(rate.fingerprint(&mut hasher));
        rates.push(rate);
    });
    let rows = rates.rates.iter().map(OwnedRate::record);
    let rows: Vec<Rate<'_>> = rows.collect();
    let built = Deck::build(rows.iter().map(rating_row), options)?;
    Ok((built, format!("{fingerprint:016x}")))
}

#[derive(Default)]
struct OwnedRates {
    rates: Vec<OwnedRate>,
}

/// A rate with its texts.
struct OwnedRate {
    texts: [Option<String>; 3],
    rate: Rate<'static>,
}

impl OwnedRates {
    fn push(&mut self, rate: &Rate<'_>) {
        let texts = [rate.id, rate.prefix, rate.rate_type];
        self.rates.push(OwnedRate {
            texts: texts.map(|text| text.map(str::to_owned)),
            rate: Rate {
                free_seconds: rate.free_seconds.known().into(),
                grace_period: rate.grace_period.known().into(),
                interval_1: rate.interval_1.known().into(),
                interval_n: rate.interval_n.known().into(),
                connect_fee: rate.connect_fee.known().into(),
                postcall_surcharge: rate.postcall_surcharge.known().into(),
                price_1: rate.price_1.known().into(),
                price_n: rate.price_n.known().into(),
                ..Rate::default()
            },
        });
    }
}

impl OwnedRate {
    fn record(&self) -> Rate<'_> {
        let [id, prefix, rate_type] = &self.texts;
        Rate {
            id: id.as_deref(),
            prefix: prefix.as_deref(),
            rate_type: rate_type.as_deref(),
            ..self.rate
        }
    }
}
