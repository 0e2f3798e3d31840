//! The fingerprint of a record: a hash of all its fields.

use xxhash_rust::xxh3::xxh3_64;

use crate::id::CanonicalId;

/// Collects the fields of a record and hashes them together: its fingerprint.
///
/// Each field is fed with its kind and length, so that two different lists of fields never give the
/// same bytes. The journal stores fingerprints: the values and their order are part of its format.
/// The buffer is reused for each record.
#[derive(Debug, Default)]
pub struct FieldHasher {
    bytes: Vec<u8>,
    /// A buffer for the JSON of unreadable fields.
    pub(crate) json: String,
}

impl FieldHasher {
    /// An empty hasher.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn start(&mut self) {
        self.bytes.clear();
    }

    pub(crate) fn text(&mut self, value: Option<&str>) {
        self.text_bytes(value.map(str::as_bytes));
    }

    pub(crate) fn id(&mut self, value: Option<&str>) {
        let id = value.map(CanonicalId::new);
        self.text_bytes(id.as_ref().map(CanonicalId::as_bytes));
    }

    fn text_bytes(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.bytes.push(0),
            Some(text) => {
                self.head(1, text.len() as u64);
                self.bytes.extend_from_slice(text);
            }
        }
    }

    #[inline]
    pub(crate) fn integer(&mut self, value: Option<i64>) {
        match value {
            None => self.bytes.push(0),
            Some(number) => self.head(2, number.cast_unsigned()),
        }
    }

    pub(crate) fn decimal(&mut self, value: Option<i128>) {
        match value {
            None => self.bytes.push(0),
            Some(number) => {
                self.bytes.push(3);
                self.bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
    }

    /// The start of a list of `length` items, or its absence.
    #[inline]
    pub(crate) fn list(&mut self, length: Option<usize>) {
        match length {
            None => self.bytes.push(0),
            Some(length) => self.head(4, length as u64),
        }
    }

    /// A kind and a number, written at once.
    #[inline]
    fn head(&mut self, kind: u8, number: u64) {
        let mut head = [kind; 9];
        head[1..].copy_from_slice(&number.to_le_bytes());
        self.bytes.extend_from_slice(&head);
    }

    pub(crate) fn finish(&self) -> u64 {
        xxh3_64(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(feed: impl FnOnce(&mut FieldHasher)) -> u64 {
        let mut hasher = FieldHasher::new();
        hasher.start();
        feed(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn neighbours_do_not_run_together() {
        let cases = [
            fingerprint(|h| {
                h.text(Some("ab"));
                h.text(Some(""));
            }),
            fingerprint(|h| {
                h.text(Some("a"));
                h.text(Some("b"));
            }),
            fingerprint(|h| {
                h.text(Some("ab"));
                h.text(None);
            }),
            fingerprint(|h| {
                h.text(None);
                h.text(Some("ab"));
            }),
            fingerprint(|h| {
                h.integer(Some(0));
                h.text(None);
            }),
            fingerprint(|h| {
                h.integer(None);
                h.text(None);
            }),
            fingerprint(|h| {
                h.list(Some(0));
                h.text(None);
            }),
            fingerprint(|h| {
                h.decimal(Some(0));
                h.text(None);
            }),
        ];
        let distinct: std::collections::HashSet<_> = cases.iter().collect();
        assert_eq!(distinct.len(), cases.len());
    }

    /// Journals store the values: they must not change.
    #[test]
    fn hashes_are_stable() {
        assert_eq!(
            fingerprint(|h| {
                h.text(Some("call-1"));
                h.integer(Some(7));
                h.decimal(None);
            }),
            9_986_094_922_020_387_619
        );
    }
}
