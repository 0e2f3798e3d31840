//! A row of a deck, as it was read.

use crate::amount::{Amount, ParseAmountError};

/// A value of a row, or why there is none.
pub type Value<T> = Result<T, ValueError>;

/// Why a row has no value for a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// It cannot be read.
    #[error("cannot be read")]
    Unreadable,
    /// It has more than five decimal places.
    #[error("has more than five decimal places")]
    TooPrecise,
    /// It is out of range.
    #[error("is out of range")]
    OutOfRange,
}

impl From<ParseAmountError> for ValueError {
    fn from(error: ParseAmountError) -> Self {
        match error {
            ParseAmountError::NoNumber => Self::Unreadable,
            ParseAmountError::TooPrecise => Self::TooPrecise,
            ParseAmountError::TooLarge => Self::OutOfRange,
        }
    }
}

/// A row of a deck: the rate of a prefix. Prices are per minute.
///
/// A value that a row does not have is not taken for 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// What identifies the rate where it comes from.
    pub id: Option<&'a str>,
    /// The prefix, as it was written.
    pub prefix: Option<&'a str>,
    /// The kind of destination, such as `MOBILE`.
    pub rate_type: Option<&'a str>,
    /// Charged for each call that is not free.
    pub connect_fee: Value<Amount>,
    /// Price of a minute in the first interval.
    pub price_1: Value<Amount>,
    /// Price of a minute in further intervals.
    pub price_n: Value<Amount>,
    /// Fraction that is added to everything: 0.01 is 1 %.
    pub postcall_surcharge: Value<Amount>,
    /// Seconds of the first interval, at least 1.
    pub interval_1: Value<i64>,
    /// Seconds of each further interval, at least 1.
    pub interval_n: Value<i64>,
    /// Seconds that are free.
    pub free_seconds: Value<i64>,
    /// Calls shorter than this many seconds are free.
    pub grace_period: Value<i64>,
}

impl Default for Row<'_> {
    fn default() -> Self {
        Self {
            id: None,
            prefix: None,
            rate_type: None,
            connect_fee: Err(ValueError::Missing),
            price_1: Err(ValueError::Missing),
            price_n: Err(ValueError::Missing),
            postcall_surcharge: Err(ValueError::Missing),
            interval_1: Err(ValueError::Missing),
            interval_n: Err(ValueError::Missing),
            free_seconds: Err(ValueError::Missing),
            grace_period: Err(ValueError::Missing),
        }
    }
}
