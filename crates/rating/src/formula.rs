//! The formula, in whole numbers, with one rounding at the end.
//!
//! ```text
//! duration < grace_period: nothing
//! over   = duration - interval_1 - free_seconds
//! rounds = over <= 0 ? 0 : ceil(over / interval_n)
//! cost   = (connect_fee + interval_1·price_1/60 + rounds·interval_n·price_n/60)
//!          · (1 + postcall_surcharge)
//! ```
//!
//! Money is in units of 10⁻⁵, so cost = numerator / 6,000,000 with
//! numerator = (60·fee + i1·p1 + rounds·iN·pN) · (100,000 + surcharge).

use std::time::Duration;

use crate::amount::Amount;
use crate::not_charged::NotCharged;
use crate::options::{CostRounding, DurationRounding, FreeSeconds, Options, ZeroDuration};
use crate::tariff::Tariff;

/// A duration in whole seconds. All lengths that it is compared with are whole seconds, so these
/// two say all that matters of a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seconds {
    /// Rounded down: compared with the grace period.
    pub(crate) down: u64,
    /// Rounded up: what intervals have to cover.
    pub(crate) up: u64,
}

impl Seconds {
    #[inline]
    pub(crate) fn new(duration: Duration, rounding: DurationRounding) -> Self {
        let down = duration.as_secs();
        let nanos = duration.subsec_nanos();
        let up = down.saturating_add(u64::from(nanos > 0));
        match rounding {
            DurationRounding::AsGiven => Self { down, up },
            DurationRounding::Up => Self { down: up, up },
            DurationRounding::Nearest if nanos >= 500_000_000 => Self { down: up, up },
            DurationRounding::Nearest => Self { down, up: down },
        }
    }
}

/// What of a call is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Billed {
    /// Seconds of the first interval: all or none.
    pub(crate) first: u32,
    /// Further intervals.
    pub(crate) rounds: u64,
}

impl Billed {
    #[inline]
    pub(crate) fn new(
        tariff: &Tariff,
        seconds: Seconds,
        options: &Options,
    ) -> Result<Self, NotCharged> {
        if seconds.down < u64::from(tariff.grace_period) {
            return Err(NotCharged::BelowGrace);
        }
        let only_the_fee = Self {
            first: 0,
            rounds: 0,
        };
        let first = tariff.interval_1;
        let mut covered = seconds.up;
        let mut free = u64::from(tariff.free_seconds);
        if covered == 0 {
            return match options.zero_duration {
                ZeroDuration::ConnectFee => Ok(only_the_fee),
                ZeroDuration::FirstInterval => Ok(Self { first, rounds: 0 }),
                ZeroDuration::Free => Err(NotCharged::ZeroDuration),
            };
        }
        if options.free_seconds == FreeSeconds::Start {
            covered = covered.saturating_sub(free);
            free = 0;
            if covered == 0 {
                return Ok(only_the_fee);
            }
        }
        let over = covered
            .saturating_sub(u64::from(first))
            .saturating_sub(free);
        // At least 1: rows with less are refused.
        let rounds = over.div_ceil(u64::from(tariff.interval_n).max(1));
        Ok(Self { first, rounds })
    }

    #[inline]
    pub(crate) fn seconds(&self, tariff: &Tariff) -> Option<u64> {
        self.rounds
            .checked_mul(tariff.interval_n.into())?
            .checked_add(self.first.into())
    }

    /// The amount; `None` if it is larger than 64 bits hold.
    #[inline]
    pub(crate) fn amount(&self, tariff: &Tariff, options: &Options) -> Option<Amount> {
        let places = Amount::PLACES.checked_sub(options.cost_decimals)?;
        if places == 0
            && let Some(numerator) = self.numerator_64(tariff)
        {
            let (units, rest) = (numerator / DENOMINATOR, numerator % DENOMINATOR);
            let up = is_rounded_up(options.cost_rounding, units % 2, rest, DENOMINATOR);
            let units = units.checked_add(u64::from(up))?;
            return i64::try_from(units).ok().map(Amount::from_units);
        }
        self.amount_128(tariff, options, places)
    }

    /// The amount of large prices, or with fewer decimal places.
    fn amount_128(&self, tariff: &Tariff, options: &Options, places: u32) -> Option<Amount> {
        let step = 10u128.pow(places);
        let denominator = u128::from(DENOMINATOR) * step;
        let numerator = self.numerator(tariff)?;
        let (steps, rest) = (numerator / denominator, numerator % denominator);
        let up = is_rounded_up(options.cost_rounding, steps % 2, rest, denominator);
        let units = (steps + u128::from(up)).checked_mul(step)?;
        i64::try_from(units).ok().map(Amount::from_units)
    }

    /// The numerator, if it and all parts of it fit in 64 bits.
    #[inline]
    fn numerator_64(&self, tariff: &Tariff) -> Option<u64> {
        let units = |amount: Amount| u64::try_from(amount.units()).ok();
        let fee = units(tariff.connect_fee)?.checked_mul(60)?;
        let first = u64::from(self.first).checked_mul(units(tariff.price_1)?)?;
        let further = self
            .rounds
            .checked_mul(tariff.interval_n.into())?
            .checked_mul(units(tariff.price_n)?)?;
        let factor = units(tariff.postcall_surcharge)?.checked_add(Amount::ONE.unsigned_abs())?;
        fee.checked_add(first)?
            .checked_add(further)?
            .checked_mul(factor)
    }

    /// The numerator of the amount over [`DENOMINATOR`].
    pub(crate) fn numerator(&self, tariff: &Tariff) -> Option<u128> {
        let units = |amount: Amount| u128::try_from(amount.units()).ok();
        let fee = units(tariff.connect_fee)?.checked_mul(60)?;
        let first = u128::from(self.first).checked_mul(units(tariff.price_1)?)?;
        let further = u128::from(self.rounds)
            .checked_mul(tariff.interval_n.into())?
            .checked_mul(units(tariff.price_n)?)?;
        let factor =
            units(tariff.postcall_surcharge)?.checked_add(Amount::ONE.unsigned_abs().into())?;
        fee.checked_add(first)?
            .checked_add(further)?
            .checked_mul(factor)
    }
}

/// What a numerator is divided by: 60 seconds a minute, and 10⁵ of the surcharge.
pub(crate) const DENOMINATOR: u64 = 60 * 100_000;

/// Whether a quotient with this rest is rounded up.
#[inline]
fn is_rounded_up<T: PartialOrd + Copy + std::ops::Sub<Output = T> + From<bool>>(
    rounding: CostRounding,
    odd: T,
    rest: T,
    divisor: T,
) -> bool {
    let zero = T::from(false);
    // Compared without doubling, which could overflow.
    let left = divisor - rest;
    match rounding {
        CostRounding::Up => rest > zero,
        CostRounding::Down => false,
        CostRounding::HalfUp => rest >= left,
        CostRounding::HalfEven => rest > left || (rest == left && odd > zero),
    }
}
