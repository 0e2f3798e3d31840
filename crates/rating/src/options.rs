//! What the rating documents leave open: options, each with the default that fits best.

use crate::amount::Amount;

/// How numbers are read, calls are matched and amounts are computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What is stripped from numbers and prefixes.
    pub number: NumberOptions,
    /// Which rate counts when a prefix occurs twice.
    pub duplicate_prefix: DuplicatePrefix,
    /// What an answered call of no duration costs.
    pub zero_duration: ZeroDuration,
    /// How a duration with a fraction of a second is read.
    pub duration_rounding: DurationRounding,
    /// Where the free seconds are.
    pub free_seconds: FreeSeconds,
    /// Decimal places of an amount, at most five.
    pub cost_decimals: u32,
    /// How an amount is rounded to these places.
    pub cost_rounding: CostRounding,
}

/// What is stripped from numbers and prefixes besides blanks, `-`, `(` and `)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumberOptions {
    /// Starts of numbers that are stripped, such as `00` or `011`. The longest that fits is
    /// stripped once, from numbers and from prefixes.
    pub strip_prefixes: Vec<String>,
    /// Whether a leading `+` is kept as a symbol. Otherwise it is stripped.
    pub keep_plus: bool,
}

/// Which rate counts when a prefix occurs twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DuplicatePrefix {
    /// The last one.
    #[default]
    Last,
    /// The first one.
    First,
    /// None: calls to the prefix are not charged.
    Reject,
}

/// What an answered call of no duration costs, if the grace period does not make it free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeroDuration {
    /// The connect fee and its surcharge. No seconds are billed.
    #[default]
    ConnectFee,
    /// As much as a call of the first interval.
    FirstInterval,
    /// Nothing.
    Free,
}

/// How a duration with a fraction of a second is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DurationRounding {
    /// As it is.
    #[default]
    AsGiven,
    /// As the next whole second.
    Up,
    /// As the nearest whole second; half a second is rounded up.
    Nearest,
}

/// Where the free seconds are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FreeSeconds {
    /// After the first interval.
    #[default]
    AfterFirstInterval,
    /// At the start of the call. A call of free seconds only costs the connect fee.
    Start,
}

/// How an amount is rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CostRounding {
    /// To the nearest, halves up.
    #[default]
    HalfUp,
    /// To the nearest, halves to the even one.
    HalfEven,
    /// Up.
    Up,
    /// Down.
    Down,
}

/// An option that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// More than five decimal places.
    #[error("an amount has at most {max} decimal places, not {found}", max = Amount::PLACES)]
    CostDecimals {
        /// The number of places that was asked for.
        found: u32,
    },
    /// A start of numbers to strip is empty, too long, or has other characters than numbers have.
    #[error("`{0}` cannot be stripped from numbers: write 1 to 64 digits")]
    StripPrefix(String),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            number: NumberOptions::default(),
            duplicate_prefix: DuplicatePrefix::default(),
            zero_duration: ZeroDuration::default(),
            duration_rounding: DurationRounding::default(),
            free_seconds: FreeSeconds::default(),
            cost_decimals: Amount::PLACES,
            cost_rounding: CostRounding::default(),
        }
    }
}

impl Options {
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        if self.cost_decimals > Amount::PLACES {
            return Err(OptionsError::CostDecimals {
                found: self.cost_decimals,
            });
        }
        Ok(())
    }
}
