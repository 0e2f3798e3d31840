//! A deck of call rates, and what a call costs by it.

use std::time::Duration;

use crate::amount::Amount;
use crate::digits::Digits;
use crate::entry::Entries;
use crate::formula::{Billed, Seconds};
use crate::intervals::Intervals;
use crate::normalise::Normaliser;
use crate::not_charged::NotCharged;
use crate::options::Options;
use crate::tariff::Tariff;

/// A deck of call rates. It never changes: share it, and replace it by another.
#[derive(Debug)]
pub struct Deck {
    pub(crate) intervals: Intervals,
    pub(crate) prefixes: usize,
    pub(crate) has_usable: bool,
    pub(crate) entries: Entries,
    pub(crate) normaliser: Normaliser,
    pub(crate) options: Options,
}

/// A rate of a deck.
#[derive(Clone, Copy)]
pub struct Rate<'d> {
    deck: &'d Deck,
    number: u32,
}

impl<'d> Rate<'d> {
    /// Its id; empty if its row had none.
    pub fn id(&self) -> &'d str {
        self.deck.entries.id(self.number)
    }

    /// The kind of destination.
    pub fn rate_type(&self) -> Option<&'d str> {
        self.deck.entries.rate_type(self.number)
    }

    /// Its figures.
    pub fn tariff(&self) -> Tariff {
        let found = self.deck.entries.tariff(self.number);
        found.map_or_else(|_| Tariff::default(), |(tariff, _)| tariff)
    }
}

impl PartialEq for Rate<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.id(), self.rate_type(), self.tariff())
            == (other.id(), other.rate_type(), other.tariff())
    }
}

impl Eq for Rate<'_> {}

impl std::fmt::Debug for Rate<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rate")
            .field("id", &self.id())
            .field("rate_type", &self.rate_type())
            .field("tariff", &self.tariff())
            .finish()
    }
}

/// What a call costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge<'d> {
    /// The rate that it is charged by.
    pub rate: Rate<'d>,
    /// The prefix of the number that the rate is for, normalised.
    pub matched_prefix: Digits,
    /// The seconds that are charged, without the free ones.
    pub billed_seconds: u64,
    /// What the call costs.
    pub amount: Amount,
}

impl Deck {
    /// What a call to `number` costs that lasts `duration`. Allocates nothing.
    pub fn rate<'n>(
        &self,
        number: impl Into<Option<&'n str>>,
        duration: impl Into<Option<Duration>>,
    ) -> Result<Charge<'_>, NotCharged> {
        let number = self.read_number(number.into())?;
        let (found, tariff, length) = self.find(&number)?;
        let duration = duration.into().ok_or(NotCharged::NoDuration)?;
        let seconds = Seconds::new(duration, self.options.duration_rounding);
        let billed = Billed::new(&tariff, seconds, &self.options)?;
        Ok(Charge {
            matched_prefix: number.prefix(length.into()),
            billed_seconds: billed.seconds(&tariff).ok_or(NotCharged::TooLarge)?,
            amount: billed
                .amount(&tariff, &self.options)
                .ok_or(NotCharged::TooLarge)?,
            rate: self.rate_of(found),
        })
    }

    /// A number in its normal form.
    #[inline]
    pub(crate) fn read_number(&self, number: Option<&str>) -> Result<Digits, NotCharged> {
        let number = number.ok_or(NotCharged::NoNumber)?;
        match self.normaliser.read(number) {
            Ok((digits, _)) if digits.is_empty() => Err(NotCharged::NoNumber),
            Ok((digits, _)) => Ok(digits),
            Err(_) => Err(NotCharged::UnreadableNumber),
        }
    }

    /// The number of the rate of the longest prefix of a number, its tariff, and the symbols of
    /// that prefix.
    #[inline]
    pub(crate) fn find(&self, number: &Digits) -> Result<(u32, Tariff, u8), NotCharged> {
        let found = self.intervals.find(number).ok_or(NotCharged::NoMatch)?;
        let (tariff, length) = self.entries.tariff(found)?;
        Ok((found, tariff, length))
    }

    #[inline]
    pub(crate) fn rate_of(&self, number: u32) -> Rate<'_> {
        Rate { deck: self, number }
    }

    /// How many prefixes.
    pub fn len(&self) -> usize {
        self.prefixes
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a call may be charged by it: at least one of its rates can be used.
    pub fn has_usable_rate(&self) -> bool {
        self.has_usable
    }

    /// The options that it was built with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The bytes that it takes in memory.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.intervals.bytes() + self.entries.bytes()
    }
}
