//! One value as an upstream gave it: missing, known, or there but unreadable.

/// A value that an upstream may leave out, state, or state in a way that cannot be read.
///
/// Unknown is never zero: only [`Reading::Known`] is stored as a value. The other two are null, and
/// the text of [`Reading::Unreadable`] goes to the column `unreadable`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading<'a, T> {
    /// Absent or null.
    #[default]
    Missing,
    /// Read.
    Known(T),
    /// There, but not a value of this kind; the text as it came.
    Unreadable(&'a str),
}

impl<'a, T: Copy> Reading<'a, T> {
    /// The value, if it is known.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Missing | Self::Unreadable(_) => None,
        }
    }

    /// The text that could not be read, if that is what came.
    pub fn unreadable(self) -> Option<&'a str> {
        match self {
            Self::Unreadable(text) => Some(text),
            Self::Missing | Self::Known(_) => None,
        }
    }

    /// Reads `text` with `parse`; no text is [`Reading::Missing`], text that `parse` refuses is
    /// [`Reading::Unreadable`].
    pub fn parse(text: Option<&'a str>, parse: impl FnOnce(&str) -> Option<T>) -> Self {
        match text {
            None => Self::Missing,
            Some(text) => parse(text).map_or(Self::Unreadable(text), Self::Known),
        }
    }

    /// The same reading of another type; what `convert` refuses is unreadable under `text`.
    pub fn and_then<U>(
        self,
        text: &'a str,
        convert: impl FnOnce(T) -> Option<U>,
    ) -> Reading<'a, U> {
        match self {
            Self::Missing => Reading::Missing,
            Self::Known(value) => convert(value).map_or(Reading::Unreadable(text), Reading::Known),
            Self::Unreadable(text) => Reading::Unreadable(text),
        }
    }
}

impl<T> From<Option<T>> for Reading<'_, T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Self::Known)
    }
}
