//! Normalised numbers and prefixes: up to 64 symbols, four bits each.

use std::fmt;

/// The symbols of a normalised number or prefix, at most [`Digits::MAX`] of them.
///
/// They are compared symbol by symbol, and a prefix comes right before the numbers that start with
/// it. Zero marks the end, so the symbols are numbered from 1.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digits {
    words: [u64; 4],
    length: u8,
}

/// Symbols in a word.
pub(crate) const IN_WORD: usize = 16;

const SYMBOLS: &[u8; 13] = b"0123456789*#+";

impl Digits {
    /// The most symbols that are kept: the longest prefix of a deck.
    pub const MAX: usize = 64;

    /// The number of a symbol; `None` for other characters.
    pub(crate) const fn code(byte: u8) -> Option<u8> {
        match byte {
            b'0'..=b'9' => Some(byte - b'0' + 1),
            b'*' => Some(11),
            b'#' => Some(12),
            b'+' => Some(13),
            _ => None,
        }
    }

    /// Adds a symbol by its number; false if there is no room.
    pub(crate) fn push(&mut self, code: u8) -> bool {
        let at = usize::from(self.length);
        let Some(word) = self.words.get_mut(at / IN_WORD) else {
            return false;
        };
        *word |= u64::from(code) << shift(at % IN_WORD);
        self.length += 1;
        true
    }

    /// The symbols of a usual number: up to 16 digits, perhaps after a `+`, which is stripped.
    /// `None` for any other number. Much quicker than symbol by symbol.
    #[inline]
    pub(crate) fn of_plain(number: &str) -> Option<Self> {
        let bytes = number.as_bytes();
        let digits = bytes.strip_prefix(b"+").unwrap_or(bytes);
        if digits.len() > IN_WORD {
            return None;
        }
        if let (Some(first), Some(last)) = (digits.first_chunk(), digits.last_chunk()) {
            // Eight at a time; between 9 and 15, the two overlap in equal symbols.
            let (first, last) = (eight(*first)?, eight(*last)?);
            let unused = (IN_WORD - digits.len()) * 4;
            return Some(Self {
                words: [first << 32 | last << unused, 0, 0, 0],
                length: u8::try_from(digits.len()).unwrap_or(u8::MAX),
            });
        }
        let mut word = 0;
        let mut is_plain = true;
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            is_plain &= digit <= 9;
            word = (word << 4) | (u64::from(digit) + 1);
        }
        let unused = (IN_WORD - digits.len()) * 4;
        (is_plain && !digits.is_empty()).then(|| Self {
            words: [word << unused, 0, 0, 0],
            length: u8::try_from(digits.len()).unwrap_or(u8::MAX),
        })
    }

    /// The first `length` symbols of a word.
    pub(crate) fn of_word(word: u64, length: u8) -> Self {
        Self {
            words: [word, 0, 0, 0],
            length,
        }
    }

    /// The first 16 symbols.
    #[inline]
    pub(crate) fn first_word(&self) -> u64 {
        self.words[0]
    }

    /// How many symbols.
    #[inline]
    pub fn len(&self) -> usize {
        usize::from(self.length)
    }

    /// Whether there is no symbol.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The first `length` symbols.
    #[must_use]
    #[inline]
    pub fn prefix(&self, length: usize) -> Self {
        let length = length.min(self.len());
        if length <= IN_WORD {
            return Self {
                words: [self.words[0] & head_mask(length), 0, 0, 0],
                length: u8::try_from(length).unwrap_or(self.length),
            };
        }
        let mut words = self.words;
        for (index, word) in words.iter_mut().enumerate() {
            *word &= head_mask(length.saturating_sub(index * IN_WORD));
        }
        Self {
            words,
            length: u8::try_from(length).unwrap_or(self.length),
        }
    }

    /// Whether the number starts with this text, symbol by symbol.
    pub(crate) fn starts_with(&self, start: &[u8]) -> bool {
        start.len() <= self.len()
            && self
                .symbols()
                .zip(start)
                .all(|(ours, theirs)| ours == *theirs)
    }

    /// All but the first `count` symbols.
    pub(crate) fn without_first(&self, count: usize) -> Self {
        let mut rest = Self::default();
        for code in self.codes().skip(count) {
            rest.push(code);
        }
        rest
    }

    fn codes(&self) -> impl Iterator<Item = u8> {
        let words = self.words;
        (0..self.len()).filter_map(move |at| {
            let word = words.get(at / IN_WORD)?;
            u8::try_from(word >> shift(at % IN_WORD) & 15).ok()
        })
    }

    fn symbols(&self) -> impl Iterator<Item = u8> {
        self.codes()
            .filter_map(|code| SYMBOLS.get(usize::from(code).wrapping_sub(1)).copied())
    }
}

/// The symbols of eight digits, in the low 32 bits; `None` if one is no digit.
#[inline]
fn eight(digits: [u8; 8]) -> Option<u64> {
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const SIXES: u64 = 0x0606_0606_0606_0606;
    const ONES: u64 = 0x0101_0101_0101_0101;
    let bytes = u64::from_be_bytes(digits);
    // No byte carries into the next one: those above 0xf9 fail the first comparison.
    let is_plain = bytes & HIGH == ZEROS && bytes.wrapping_add(SIXES) & HIGH == ZEROS;
    let mut symbols = (bytes ^ ZEROS).wrapping_add(ONES);
    symbols = (symbols | symbols >> 4) & 0x00ff_00ff_00ff_00ff;
    symbols = (symbols | symbols >> 8) & 0x0000_ffff_0000_ffff;
    symbols = (symbols | symbols >> 16) & 0x0000_0000_ffff_ffff;
    is_plain.then_some(symbols)
}

/// The place of a symbol in its word: the first one is the highest.
const fn shift(at: usize) -> usize {
    (IN_WORD - 1 - at) * 4
}

/// The bits of the first `symbols` symbols of a word.
pub(crate) const fn head_mask(symbols: usize) -> u64 {
    match symbols {
        0 => 0,
        1..IN_WORD => !(u64::MAX >> (symbols * 4)),
        _ => u64::MAX,
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.symbols().map(char::from).collect();
        f.pad(&text)
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Digits {
        let mut digits = Digits::default();
        for byte in text.bytes() {
            assert!(digits.push(Digits::code(byte).unwrap()));
        }
        digits
    }

    #[test]
    fn symbols_lead_back_at_every_length() {
        let all = "0123456789*#+".repeat(5);
        for length in 0..=Digits::MAX {
            let text = &all[..length];
            let read = digits(text);
            assert_eq!((read.to_string(), read.len()), (text.to_owned(), length));
            for shorter in 0..=length {
                assert_eq!(read.prefix(shorter), digits(&text[..shorter]));
                assert_eq!(read.without_first(shorter), digits(&text[shorter..]));
                assert!(read.starts_with(&text.as_bytes()[..shorter]));
            }
        }
        let mut full = digits(&all[..Digits::MAX]);
        assert!(!full.push(1));
    }

    #[test]
    fn a_prefix_comes_right_before_what_starts_with_it() {
        assert!(digits("4") < digits("41"));
        assert!(digits("41") < digits("410"));
        assert!(digits("419") < digits("42"));
        assert!(digits("41").prefix(9) == digits("41"));
    }
}
