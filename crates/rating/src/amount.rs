//! Money: a whole number of units of 10⁻⁵ of a currency.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::str::FromStr;

/// An amount, a price, or a fraction: a whole number of units of 10⁻⁵.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i64);

/// Why a number is no [`Amount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAmountError {
    /// It is no decimal number.
    #[error("it is no decimal number")]
    NoNumber,
    /// It has more than five decimal places.
    #[error("it has more than five decimal places")]
    TooPrecise,
    /// It has more digits than 64 bits hold.
    #[error("it is too large")]
    TooLarge,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Units of 1.
    pub(crate) const ONE: i64 = 100_000;
    /// Decimal places.
    pub const PLACES: u32 = 5;

    /// An amount of whole units of 10⁻⁵.
    pub const fn from_units(units: i64) -> Self {
        Self(units)
    }

    /// Whole units of 10⁻⁵.
    pub const fn units(self) -> i64 {
        self.0
    }

    /// The amount of `mantissa` · 10^−`places`, if it is a whole number of units.
    pub fn from_parts(mantissa: i128, places: u32) -> Result<Self, ParseAmountError> {
        let units = if places <= Self::PLACES {
            mantissa
                .checked_mul(10i128.pow(Self::PLACES - places))
                .ok_or(ParseAmountError::TooLarge)?
        } else {
            let divisor = 10i128.checked_pow(places - Self::PLACES);
            match divisor {
                Some(divisor) if mantissa % divisor == 0 => mantissa / divisor,
                None if mantissa == 0 => 0,
                _ => return Err(ParseAmountError::TooPrecise),
            }
        };
        i64::try_from(units)
            .map(Self)
            .map_err(|_| ParseAmountError::TooLarge)
    }

    /// The sum, or `None` beyond 64 bits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl FromStr for Amount {
    type Err = ParseAmountError;

    /// Reads a decimal number such as `0.05`, `-1` or `.5`, without an exponent.
    fn from_str(text: &str) -> Result<Self, ParseAmountError> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let mut mantissa: i128 = 0;
        let mut places = None;
        let mut any = false;
        for byte in digits.bytes() {
            match byte {
                b'.' if places.is_none() => places = Some(0),
                b'0'..=b'9' => {
                    any = true;
                    mantissa = mantissa
                        .checked_mul(10)
                        .and_then(|m| m.checked_add(i128::from(byte - b'0')))
                        .ok_or(ParseAmountError::TooLarge)?;
                    places = places.map(|places| places + 1);
                }
                _ => return Err(ParseAmountError::NoNumber),
            }
        }
        if !any {
            return Err(ParseAmountError::NoNumber);
        }
        Self::from_parts(sign * mantissa, places.unwrap_or(0))
    }
}

impl fmt::Display for Amount {
    /// The shortest decimal text: `1.365`, `-0.00001`, `3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = Self::ONE.unsigned_abs();
        let (whole, rest) = (self.0.unsigned_abs() / one, self.0.unsigned_abs() % one);
        let sign = if self.0 < 0 { "-" } else { "" };
        if rest == 0 {
            return f.pad(&format!("{sign}{whole}"));
        }
        let text = format!("{sign}{whole}.{rest:05}");
        f.pad(text.trim_end_matches('0'))
    }
}

impl Add for Amount {
    type Output = Self;

    /// Saturates at the ends of 64 bits, which are 92 trillion.
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Amount {
    type Output = Self;

    /// Saturates at the ends of 64 bits, which are 92 trillion.
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lead_back() {
        for (text, units) in [
            ("0", 0),
            ("1.365", 136_500),
            ("-0.00001", -1),
            ("3", 300_000),
            ("92233720368547.75807", i64::MAX),
            ("-92233720368547.75808", i64::MIN),
        ] {
            assert_eq!(text.parse(), Ok(Amount::from_units(units)));
            assert_eq!(Amount::from_units(units).to_string(), text);
        }
        for (text, units) in [(".5", 50_000), ("+1.", 100_000), ("0.0500000", 5_000)] {
            assert_eq!(text.parse(), Ok(Amount::from_units(units)));
        }
    }

    #[test]
    fn what_is_no_amount() {
        for (text, error) in [
            ("", ParseAmountError::NoNumber),
            (".", ParseAmountError::NoNumber),
            ("-", ParseAmountError::NoNumber),
            ("1e3", ParseAmountError::NoNumber),
            ("0,05", ParseAmountError::NoNumber),
            ("1.2.3", ParseAmountError::NoNumber),
            ("NaN", ParseAmountError::NoNumber),
            ("0.000001", ParseAmountError::TooPrecise),
            ("92233720368547.75808", ParseAmountError::TooLarge),
        ] {
            assert_eq!(text.parse::<Amount>(), Err(error), "{text}");
        }
        assert_eq!(
            Amount::from_parts(0, u32::MAX),
            Ok(Amount::ZERO),
            "zero has no places"
        );
        assert_eq!(
            Amount::from_parts(1, u32::MAX),
            Err(ParseAmountError::TooPrecise)
        );
    }
}
