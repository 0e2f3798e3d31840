//! The bytes with a meaning in the grammar, and a search for them that reads eight bytes at a time.

/// The bytes that end unquoted text or are refused in it.
pub(crate) struct Value;

/// The bytes that end an unquoted name or are refused in it, and that force quotes around a text.
pub(crate) struct Name;

/// A set of bytes to stop at.
pub(crate) trait Stops {
    const TABLE: [bool; 256];

    /// Marks bytes of a word that may be in the set. The first byte that is in the set is always
    /// marked.
    fn candidates(word: u64) -> u64;

    fn hold(byte: u8) -> bool {
        Self::TABLE[usize::from(byte)]
    }

    /// The index of the first byte that is in the set.
    #[inline]
    fn find(bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let mut candidates = Self::candidates(u64::from_le_bytes(*word));
            while candidates != 0 {
                let byte = candidates.trailing_zeros() as usize / 8;
                if Self::hold(word[byte]) {
                    return Some(at + byte);
                }
                candidates &= candidates - 1;
            }
            at += 8;
        }
        let found = rest.iter().position(|byte| Self::hold(*byte));
        found.map(|byte| at + byte)
    }
}

impl Stops for Value {
    const TABLE: [bool; 256] = table(b",{}[]\r\n");

    #[inline]
    fn candidates(word: u64) -> u64 {
        structure(word)
    }
}

impl Stops for Name {
    const TABLE: [bool; 256] = table(b":\",{}[]\r\n");

    #[inline]
    fn candidates(word: u64) -> u64 {
        structure(word) | equal(word, b':') | equal(word, b'"')
    }
}

const fn table(bytes: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut i = 0;
    while i < bytes.len() {
        table[bytes[i] as usize] = true;
        i += 1;
    }
    table
}

const ONES: u64 = u64::MAX / 255;

/// Marks the zero bytes. Above the first of them it may mark other bytes too.
#[inline]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

#[inline]
const fn equal(word: u64, byte: u8) -> u64 {
    zeros(word ^ (ONES * byte as u64))
}

#[inline]
const fn structure(word: u64) -> u64 {
    // `[` and `{` differ in one bit, and so do `]` and `}`. CR and LF are in 8..=15, of which texts
    // rarely hold any but tabs.
    let folded = word | (ONES * 0x20);
    equal(word, b',') | equal(folded, b'{') | equal(folded, b'}') | equal(word | (ONES * 7), 15)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<S: Stops>(bytes: &[u8]) {
        let one_by_one = bytes.iter().position(|byte| S::hold(*byte));
        assert_eq!(S::find(bytes), one_by_one, "{bytes:?}");
    }

    proptest! {
        #[test]
        fn the_first_is_found(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            check::<Value>(&bytes);
            check::<Name>(&bytes);
        }
    }

    #[test]
    fn every_byte_in_every_place_of_a_word() {
        for byte in 0..=255 {
            for place in 0..8 {
                let mut word = [b'a'; 8];
                word[place] = byte;
                check::<Value>(&word);
                check::<Name>(&word);
            }
        }
    }
}
