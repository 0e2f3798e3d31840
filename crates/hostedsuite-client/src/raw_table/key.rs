//! The name of a member as the service writes it, prepared for a fast comparison.

/// `"Name":` as two words to compare with, and masks for the bytes that count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    words: [u128; 2],
    masks: [u128; 2],
    len: usize,
}

impl Key {
    const WORD: usize = 16;
    /// The bytes that [`Key::begins`] looks at.
    pub(super) const SPAN: usize = 2 * Self::WORD;

    /// The key of a name of at most 29 characters; longer ones do not compile.
    pub(super) const fn new(name: &str) -> Self {
        let name = name.as_bytes();
        let len = name.len() + 3;
        assert!(len <= Self::SPAN, "a member's name is too long for a key");
        let (mut words, mut masks) = ([0; 2], [0; 2]);
        let mut at = 0;
        while at < len {
            let byte = if at == 0 || at == len - 2 {
                b'"'
            } else if at == len - 1 {
                b':'
            } else {
                name[at - 1]
            };
            words[at / Self::WORD] |= (byte as u128) << (at % Self::WORD * 8);
            masks[at / Self::WORD] |= 0xff << (at % Self::WORD * 8);
            at += 1;
        }
        Self { words, masks, len }
    }

    /// How long it is, with its quotes and colon.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether `text` begins with it. Two wide words, not a loop over narrow ones, which took twice
    /// the instructions.
    #[inline]
    pub(super) fn begins(&self, text: &[u8; Self::SPAN]) -> bool {
        let ([first, second], _) = text.as_chunks::<{ Self::WORD }>() else {
            return false;
        };
        let [of_first, of_second] = self.words;
        let [in_first, in_second] = self.masks;
        ((u128::from_le_bytes(*first) ^ of_first) & in_first)
            | ((u128::from_le_bytes(*second) ^ of_second) & in_second)
            == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins(name: &str, text: &str) -> bool {
        let mut padded = [b'x'; Key::SPAN];
        padded[..text.len()].copy_from_slice(text.as_bytes());
        Key::new(name).begins(&padded)
    }

    #[test]
    fn a_key_is_the_whole_name_and_nothing_else() {
        let longest = "DurationInSecondsOfTheWholeXY";
        assert_eq!(longest.len() + 3, Key::SPAN);
        for name in ["Id", "ClientId", "ClientName", longest] {
            assert!(begins(name, &format!("\"{name}\":")));
            for other in [
                format!("\"{name} :"),
                format!("\"{name}\" "),
                format!(" {name}\":"),
                format!("\"{}\":", name.to_lowercase()),
                format!("\"{}\":", &name[1..]),
            ] {
                assert!(!begins(name, &other), "{other}");
            }
        }
        assert!(!begins("Client", "\"ClientId\":"));
        assert!(!begins("ClientId", "\"Client\":1"));
    }
}
