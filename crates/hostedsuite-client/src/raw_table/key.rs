//! The name of a member as the service writes it, prepared for a fast comparison.

/// `"Name":` as words to compare with, and masks for the bytes that count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    words: [u64; Key::WORDS],
    masks: [u64; Key::WORDS],
    len: usize,
}

impl Key {
    const WORDS: usize = 4;
    /// The bytes that [`Key::begins`] looks at.
    pub(super) const SPAN: usize = Self::WORDS * 8;

    /// The key of a name of at most 29 characters; longer ones do not compile.
    pub(super) const fn new(name: &str) -> Self {
        let name = name.as_bytes();
        let len = name.len() + 3;
        assert!(len <= Self::SPAN, "a member's name is too long for a key");
        let (mut words, mut masks) = ([0; Self::WORDS], [0; Self::WORDS]);
        let mut at = 0;
        while at < len {
            let byte = if at == 0 || at == len - 2 {
                b'"'
            } else if at == len - 1 {
                b':'
            } else {
                name[at - 1]
            };
            words[at / 8] |= (byte as u64) << (at % 8 * 8);
            masks[at / 8] |= 0xff << (at % 8 * 8);
            at += 1;
        }
        Self { words, masks, len }
    }

    /// How long it is, with its quotes and colon.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether `text` begins with it.
    #[inline]
    pub(super) fn begins(&self, text: &[u8; Self::SPAN]) -> bool {
        let mut different = 0;
        for ((bytes, word), mask) in text
            .as_chunks::<8>()
            .0
            .iter()
            .zip(self.words)
            .zip(self.masks)
        {
            different |= (u64::from_le_bytes(*bytes) ^ word) & mask;
        }
        different == 0
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
