//! Errors: what is wrong with a text or a value, and where.

use std::fmt;

use serde::de::{Expected, Unexpected};

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a text could not be read or a value could not be written.
///
/// This crate's errors never quote the values of a text. A message from a type's own `Deserialize`
/// may, as with every serde format.
pub struct Error {
    // Boxed: a `Result<T>` of a small `T` should stay small on the way through serde's visitors.
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    position: Option<Position>,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Bytes before the place.
    pub offset: usize,
    /// The line, from 1; lines end with LF.
    pub line: usize,
    /// The byte within the line, from 1.
    pub column: usize,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The reader or the writer underneath failed.
    #[error("{0}")]
    Io(#[source] std::io::Error),
    /// The bytes are not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The text ended in the middle: truncated input. Names what was still open.
    #[error("the text ends within {0}")]
    Truncated(&'static str),
    /// Something follows the end of the value.
    #[error("text follows the end of the value")]
    TrailingText,
    /// The text does not have the shape that the type asks for.
    #[error("expected {0}")]
    Expected(&'static str),
    /// A character that unquoted text cannot hold.
    #[error("{0:?} in unquoted text: text that holds it must be quoted")]
    Unquoted(char),
    /// A line break or blank that only pretty-printed text has; see
    /// [`from_str_pretty`](crate::from_str_pretty).
    #[error("line break outside quotes: pretty-printed text is read by `from_str_pretty` only")]
    LineBreak,
    /// Not a number, or one outside the range of its type. Names the type.
    #[error("expected a number of type {0}")]
    Number(&'static str),
    /// One of [`Limits`](crate::Limits) was exceeded. Names it, and its value.
    #[error("more than {1} {0}")]
    Limit(&'static str, usize),
    /// When writing: a map's key that is not a text, a number or a boolean.
    #[error("a map's key must be text, a number or a boolean")]
    Key,
    /// The message of a type's own `Serialize` or `Deserialize`.
    #[error("{0}")]
    Message(String),
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        let inner = Inner {
            kind,
            position: None,
        };
        Self {
            inner: Box::new(inner),
        }
    }

    pub(crate) fn at(kind: ErrorKind, position: Position) -> Self {
        let mut error = Self::new(kind);
        error.inner.position = Some(position);
        error
    }

    /// Sets the position of an error unless it has one: the innermost position is the most exact.
    pub(crate) fn or_at(mut self, position: impl FnOnce() -> Position) -> Self {
        if self.inner.position.is_none() {
            self.inner.position = Some(position());
        }
        self
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.inner.kind
    }

    /// Where in the text the error is; `None` for errors of writing and of I/O.
    pub fn position(&self) -> Option<Position> {
        self.inner.position
    }

    /// Whether the text ended too early, so that a longer text might have been valid.
    pub fn is_truncated(&self) -> bool {
        matches!(self.inner.kind, ErrorKind::Truncated(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.kind.fmt(f)?;
        match self.inner.position {
            Some(Position {
                offset,
                line,
                column,
            }) => write!(f, " at line {line} column {column} (byte {offset})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("position", &self.inner.position)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.inner.kind {
            ErrorKind::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl serde::ser::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(ErrorKind::Message(message.to_string()))
    }
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(ErrorKind::Message(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!(
            "invalid type: {}, expected {expected}",
            Found(found)
        ))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!(
            "invalid value: {}, expected {expected}",
            Found(found)
        ))
    }
}

/// The kind of value that was found, without its content, which may be someone's notes or password.
struct Found<'a>(Unexpected<'a>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Unexpected::Unit => "null",
            Unexpected::Seq => "a list",
            Unexpected::Map => "an object",
            Unexpected::Bool(_) => "a boolean",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            _ => "text",
        })
    }
}
