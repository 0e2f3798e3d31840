//! The deck of an entry as it is for the calls that are charged next.

use callmeter_journal::{BatchSeq, DeckState, Journal, Reader, StoredBatch};
use callmeter_rating::{Built, Deck, Options};
use callmeter_records::{FieldHasher, Rate};
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
                after: BatchSeq,
            ) -> Result<Option<StoredBatch>, ChargingError> {
                Ok($journal::next_deck_change(self, account, after)?)
            }
        }
    };
}

deck_journal!(Journal);
deck_journal!(Reader);

/// The deck of an account of the journal, which moves forward with the calls.
///
/// The deck of a batch of calls is that of all batches before it. If the deck was first read later,
/// it is that one: both are the same whenever they are computed.
pub(crate) struct CurrentDeck {
    /// The account of the rates.
    account: String,
    /// The configured currency, which replaces that of the account.
    currency: Option<String>,
    options: Options,
    state: DeckState,
    /// The last batch that `state` includes.
    through: BatchSeq,
    priced: Option<Priced>,
}

impl CurrentDeck {
    /// The deck after batch `through`.
    pub(crate) fn new(
        journal: &mut impl DeckJournal,
        account: &str,
        currency: Option<&str>,
        options: &Options,
        through: BatchSeq,
    ) -> Result<Self, ChargingError> {
        Ok(Self {
            account: account.to_owned(),
            currency: currency.map(str::to_owned),
            options: options.clone(),
            state: journal.deck_state(account, through)?,
            through,
            priced: None,
        })
    }

    fn is_known(&self) -> bool {
        self.state.has_rates() && (self.currency.is_some() || self.state.currency().is_some())
    }

    /// The deck for a batch of calls; `None` while it was not read yet.
    pub(crate) fn for_calls(
        &mut self,
        journal: &mut impl DeckJournal,
        calls: BatchSeq,
    ) -> Result<Option<&Priced>, ChargingError> {
        while let Some(change) = journal.next_deck_change(&self.account, self.through)? {
            if change.meta.seq > calls && self.is_known() {
                break;
            }
            if self.state.apply(&change)? {
                self.priced = None;
            }
            self.through = change.meta.seq;
        }
        if !self.is_known() {
            return Ok(None);
        }
        if self.priced.is_none() {
            let currency = self.currency.as_deref().or(self.state.currency());
            self.priced = Some(price(&self.account, &self.state, currency, &self.options)?);
        }
        Ok(self.priced.as_ref())
    }
}

fn price(
    account: &str,
    state: &DeckState,
    currency: Option<&str>,
    options: &Options,
) -> Result<Priced, ChargingError> {
    let (built, fingerprint) = build(state, options)?;
    info!(
        deck = account,
        prefixes = built.deck.len(),
        fingerprint,
        "rate deck in use"
    );
    if let Some(problem) = built.problems.first() {
        warn!(
            deck = account,
            unusable = built.bad_rows,
            duplicates = built.duplicates,
            first = %problem,
            "rates of the deck that are not used"
        );
    }
    Ok(Priced {
        deck: built.deck,
        currency: currency.map(str::to_owned),
        fingerprint,
    })
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
