//! A value kept as it is written.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

/// The name by which [`Raw`] asks this crate's deserializer for the text of a value.
pub(crate) const TOKEN: &str = "$jsv::Raw";

/// A value as written in the text, with quotes and brackets: its grammar is checked, but it is not
/// decoded.
///
/// With it, one record that cannot be decoded does not fail the others, and decoding can be
/// deferred. Only this crate's deserializer can fill it.
///
/// ```
/// let items: Vec<jsv::Raw<'_>> = jsv::from_str(r#"[{N:1},{N:x},"a,b"]"#)?;
/// assert_eq!(items[1].get(), "{N:x}");
/// assert_eq!(jsv::from_str::<String>(items[2].get())?, "a,b");
/// # Ok::<(), jsv::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// The text; empty for null.
    pub fn get(self) -> &'a str {
        self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawText;

        impl<'de> Visitor<'de> for RawText {
            type Value = Raw<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of JSV text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Raw(text))
            }
        }

        deserializer.deserialize_newtype_struct(TOKEN, RawText)
    }
}
