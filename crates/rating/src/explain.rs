//! Every step of a charge, for people.

use std::time::Duration;

use crate::amount::Amount;
use crate::deck::{Charge, Deck, Rate};
use crate::digits::Digits;
use crate::formula::{Billed, DENOMINATOR, Seconds};
use crate::not_charged::NotCharged;

/// How a charge came about, as far as it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation<'d> {
    /// The number in its normal form.
    pub number: Option<Digits>,
    /// The rate of its longest prefix, and that prefix.
    pub rate: Option<(Rate<'d>, Digits)>,
    /// The steps of the formula.
    pub steps: Option<Steps>,
    /// What [`Deck::rate`] returns.
    pub outcome: Result<Charge<'d>, NotCharged>,
}

/// The steps of the formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The seconds that intervals have to cover.
    pub seconds: u64,
    /// Seconds of the first interval that are charged: all or none.
    pub first_seconds: u32,
    /// Further intervals that are charged.
    pub rounds: u64,
    /// The amount before it is rounded, in units of 10⁻⁵, is `numerator` / `denominator`; `None`
    /// beyond 128 bits.
    pub numerator: Option<u128>,
    /// See `numerator`.
    pub denominator: u128,
}

impl Steps {
    /// The amount before it is rounded, cut after the ninth decimal place; whether that is all of
    /// it.
    pub fn exact(&self) -> Option<(String, bool)> {
        let numerator = self.numerator?;
        let (units, rest) = (numerator / self.denominator, numerator % self.denominator);
        let one = Amount::from_units(100_000).units().unsigned_abs();
        let (whole, fraction) = (units / u128::from(one), units % u128::from(one));
        let further = rest * 10_000;
        let text = format!("{whole}.{fraction:05}{:04}", further / self.denominator);
        let text = text.trim_end_matches('0').trim_end_matches('.').to_owned();
        Some((text, further.is_multiple_of(self.denominator)))
    }
}

impl Deck {
    /// The same as [`Deck::rate`], with every step.
    pub fn explain<'n>(
        &self,
        number: impl Into<Option<&'n str>>,
        duration: impl Into<Option<Duration>>,
    ) -> Explanation<'_> {
        let (number, duration) = (number.into(), duration.into());
        let normal = self.read_number(number).ok();
        let found = normal.and_then(|normal| Some((normal, self.find(&normal).ok()?)));
        let steps = found
            .zip(duration)
            .and_then(|((_, (_, tariff, _)), duration)| {
                let seconds = Seconds::new(duration, self.options.duration_rounding);
                let billed = Billed::new(&tariff, seconds, &self.options).ok()?;
                Some(Steps {
                    seconds: seconds.up,
                    first_seconds: billed.first,
                    rounds: billed.rounds,
                    numerator: billed.numerator(&tariff),
                    denominator: DENOMINATOR.into(),
                })
            });
        let rate = found.map(|(normal, (number, _, length))| {
            (self.rate_of(number), normal.prefix(length.into()))
        });
        Explanation {
            number: normal,
            rate,
            steps,
            outcome: self.rate(number, duration),
        }
    }
}
