//! The bytes with a meaning in the grammar, and a search for them that reads eight bytes at a time.

/// What ends or is refused in unquoted text.
pub(crate) struct Value;

/// What ends or is refused in an unquoted name, and what forces quotes around a text.
pub(crate) struct Name;

/// A set of bytes to stop at.
pub(crate) trait Stops {
    const TABLE: [bool; 256];

    /// Marks bytes of a word that may be in the set: the first byte that is, is always marked.
    fn candidates(word: u64) -> u64;

    fn hold(byte: u8) -> bool {
        Self::TABLE[usize::from(byte)]
    }

    /// Where the first byte of the set is.
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

/// Marks the bytes that are zero; above the first of them it may mark others too.
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
    // One bit apart: `[` and `{`, `]` and `}`. CR and LF are two of 8..=15, of which texts hold
    // tabs at most.
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
