//! Why a call is not charged.

/// Why a call costs nothing, or why nobody knows what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum NotCharged {
    /// There is no number.
    #[error("there is no number")]
    NoNumber,
    /// The number has a character that numbers do not have.
    #[error("the number has a character that numbers do not have")]
    UnreadableNumber,
    /// The deck has no prefix of the number.
    #[error("the deck has no prefix of the number")]
    NoMatch,
    /// The call has no duration.
    #[error("the call has no duration")]
    NoDuration,
    /// The call is shorter than the grace period.
    #[error("the call is shorter than the grace period")]
    BelowGrace,
    /// The call has no length, and the options make such calls free.
    #[error("the call has no length")]
    ZeroDuration,
    /// The rate of the longest prefix cannot be used: a value is missing or cannot be read.
    #[error("the rate of the longest prefix has a value that cannot be used")]
    UnusableRate,
    /// The deck has the longest prefix twice, and the options reject that.
    #[error("the deck has the longest prefix twice")]
    DuplicatePrefix,
    /// The amount is larger than 92 trillion.
    #[error("the amount is too large")]
    TooLarge,
}

impl NotCharged {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NoNumber,
        Self::UnreadableNumber,
        Self::NoMatch,
        Self::NoDuration,
        Self::BelowGrace,
        Self::ZeroDuration,
        Self::UnusableRate,
        Self::DuplicatePrefix,
        Self::TooLarge,
    ];

    /// The name in labels and files: `no_match` …
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoNumber => "no_number",
            Self::UnreadableNumber => "unreadable_number",
            Self::NoMatch => "no_match",
            Self::NoDuration => "no_duration",
            Self::BelowGrace => "below_grace",
            Self::ZeroDuration => "zero_duration",
            Self::UnusableRate => "unusable_rate",
            Self::DuplicatePrefix => "duplicate_prefix",
            Self::TooLarge => "too_large",
        }
    }

    /// Whether the call is known to cost nothing. Of the others, the cost is not known.
    pub const fn is_free(self) -> bool {
        matches!(self, Self::NoMatch | Self::BelowGrace | Self::ZeroDuration)
    }
}
