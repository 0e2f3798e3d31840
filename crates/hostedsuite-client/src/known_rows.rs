//! Rows that the caller has read before: they are recognized by their text, and not read again.

use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64;

use crate::raw_table::near_quote_or_backslash;

/// For maps and sets whose keys are hashes of ids already, such as those that [`KnownRows`] is
/// asked for.
pub type Hashed = BuildHasherDefault<KeyIsHash>;

/// Takes a key for its hash.
#[derive(Debug, Clone, Default)]
pub struct KeyIsHash(u64);

impl Hasher for KeyIsHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// The text that a row had when it was read: its length in bytes, and a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownText {
    len: u32,
    hash: u64,
}

/// The rows that a caller of [`Client`](crate::Client) has read before, by hashes of their ids.
///
/// A row whose text has not changed by a byte is returned as [`CallRow::Known`](crate::CallRow).
/// [`CallsPage::known_text`](crate::CallsPage::known_text) says what to keep of a row.
pub trait KnownRows: Send + Sync {
    /// The text that the row with this id had.
    fn text_of(&self, id: u64) -> Option<KnownText>;
}

/// The longest id that is looked for.
const LONGEST_ID: usize = 64;

/// The id of a row whose text begins with it, as the service writes JSON.
pub(crate) fn id_of(row: &str) -> Option<&str> {
    let rest = row.strip_prefix(r#"{"Id":""#)?;
    let near = rest.as_bytes();
    let near = near.get(..LONGEST_ID.min(near.len()))?;
    let end = near_quote_or_backslash(near).or_else(|| memchr::memchr2(b'"', b'\\', near))?;
    let id = rest.get(..end)?;
    rest.as_bytes()
        .get(end)
        .is_some_and(|byte| *byte == b'"')
        .then_some(id)
}

/// A hash of an id as the server writes it.
pub(crate) fn hash_of(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

impl KnownText {
    pub(crate) fn of(row: &str) -> Option<Self> {
        Some(Self {
            len: u32::try_from(row.len()).ok()?,
            hash: xxh3_64(row.as_bytes()),
        })
    }

    /// The row at the beginning of `text`, if it has this text. A row ends where its first bracket
    /// is closed, so the same bytes end in the same place.
    fn find(self, text: &str) -> Option<&str> {
        let row = text.get(..self.len as usize)?;
        (xxh3_64(row.as_bytes()) == self.hash).then_some(row)
    }
}

/// The known row at the beginning of `text`: the hash of its id, and its length.
pub(crate) fn find(known: &dyn KnownRows, text: &str) -> Option<(u64, usize)> {
    let id = hash_of(id_of(text)?);
    let row = known.text_of(id)?.find(text)?;
    Some((id, row.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_at_the_beginning_only() {
        assert_eq!(id_of(r#"{"Id":"4f","Notes":"x"}"#), Some("4f"));
        for other in [
            r#"{"Notes":"x","Id":"4f"}"#,
            r#"{ "Id":"4f"}"#,
            r#"{"Id":4}"#,
            r#"{"Id":"4\u0066"}"#,
            r#"{"Id":"4"#,
            "",
        ] {
            assert_eq!(id_of(other), None, "{other}");
        }
        let long = format!(r#"{{"Id":"{}"}}"#, "4".repeat(LONGEST_ID));
        assert_eq!(id_of(&long), None);
    }
}
