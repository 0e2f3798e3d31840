//! Which way a call went.

/// Which way a call went, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// The API's `Incoming`.
    Incoming,
    /// The API's `Outgoing`.
    Outgoing,
    /// The API's `Transfer`.
    Transfer,
    /// The API gave no type.
    Unknown,
    /// The API gave a type that is none of these.
    Other,
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Incoming,
        Self::Outgoing,
        Self::Transfer,
        Self::Unknown,
        Self::Other,
    ];

    /// The direction of an API's `Type`.
    #[inline]
    pub fn of_type(call_type: Option<&str>) -> Self {
        match call_type {
            None | Some("") => Self::Unknown,
            // The usual spellings, which are compared as a whole.
            Some("Incoming") => Self::Incoming,
            Some("Outgoing") => Self::Outgoing,
            Some(text) if text.eq_ignore_ascii_case("incoming") => Self::Incoming,
            Some(text) if text.eq_ignore_ascii_case("outgoing") => Self::Outgoing,
            Some(text) if text.eq_ignore_ascii_case("transfer") => Self::Transfer,
            Some(_) => Self::Other,
        }
    }

    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Outgoing => "outgoing",
            Self::Transfer => "transfer",
            Self::Unknown => "unknown",
            Self::Other => "other",
        }
    }
}
