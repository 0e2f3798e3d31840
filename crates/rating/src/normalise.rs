//! The normal form of numbers and prefixes.

use crate::digits::Digits;
use crate::options::{NumberOptions, OptionsError};

/// How numbers and prefixes are read: checked options.
#[derive(Clone, Debug, Default)]
pub(crate) struct Normaliser {
    /// Longest first.
    strip: Vec<Box<[u8]>>,
    keep_plus: bool,
}

/// The number has a character that numbers do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OtherCharacter;

impl Normaliser {
    pub(crate) fn new(options: &NumberOptions) -> Result<Self, OptionsError> {
        let mut strip: Vec<Box<[u8]>> = Vec::new();
        for text in &options.strip_prefixes {
            let is_digits = text.bytes().all(|byte| Digits::code(byte).is_some());
            if text.is_empty() || text.len() > Digits::MAX || !is_digits {
                return Err(OptionsError::StripPrefix(text.clone()));
            }
            strip.push(text.as_bytes().into());
        }
        strip.sort_unstable_by_key(|text| std::cmp::Reverse(text.len()));
        Ok(Self {
            strip,
            keep_plus: options.keep_plus,
        })
    }

    /// The symbols of a number, and whether it has more of them than are kept.
    #[inline]
    pub(crate) fn read(&self, number: &str) -> Result<(Digits, bool), OtherCharacter> {
        if self.strip.is_empty()
            && !self.keep_plus
            && let Some(digits) = Digits::of_plain(number)
        {
            return Ok((digits, false));
        }
        self.read_any(number)
    }

    fn read_any(&self, number: &str) -> Result<(Digits, bool), OtherCharacter> {
        let mut digits = Digits::default();
        let mut is_longer = false;
        let mut plus_may_follow = true;
        for byte in number.bytes() {
            match byte {
                b' ' | b'-' | b'(' | b')' => {}
                b'+' if plus_may_follow && !self.keep_plus => plus_may_follow = false,
                b'+' if !plus_may_follow => return Err(OtherCharacter),
                _ => {
                    let code = Digits::code(byte).ok_or(OtherCharacter)?;
                    plus_may_follow = false;
                    is_longer |= !digits.push(code);
                }
            }
        }
        let stripped = self.strip.iter().find(|start| digits.starts_with(start));
        if let Some(start) = stripped {
            digits = digits.without_first(start.len());
        }
        Ok((digits, is_longer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &NumberOptions, number: &str) -> Result<String, OtherCharacter> {
        let normaliser = Normaliser::new(options).unwrap();
        normaliser
            .read(number)
            .map(|(digits, _)| digits.to_string())
    }

    #[test]
    fn numbers() {
        let plain = NumberOptions::default();
        for (number, normal) in [
            ("+41 (44) 555-12-34", "41445551234"),
            (" +1", "1"),
            ("(+1)", "1"),
            ("0041", "0041"),
            ("*97#", "*97#"),
            ("", ""),
            ("+", ""),
        ] {
            assert_eq!(read(&plain, number).as_deref(), Ok(normal), "{number}");
        }
        for number in [
            "anonymous",
            "1+1",
            "++1",
            "sip:1@x",
            "41\u{a0}44",
            "٤١",
            "1,2",
            "1/2",
        ] {
            assert_eq!(read(&plain, number), Err(OtherCharacter), "{number}");
        }
    }

    #[test]
    fn starts_are_stripped_once_and_the_longest_first() {
        let options = NumberOptions {
            strip_prefixes: vec!["0".to_owned(), "00".to_owned(), "011".to_owned()],
            keep_plus: false,
        };
        for (number, normal) in [
            ("0041", "41"),
            ("00041", "041"),
            ("01141", "41"),
            ("0141", "141"),
            ("+0041", "41"),
            ("41", "41"),
        ] {
            assert_eq!(read(&options, number).as_deref(), Ok(normal), "{number}");
        }
    }

    #[test]
    fn a_plus_may_be_kept() {
        let options = NumberOptions {
            strip_prefixes: Vec::new(),
            keep_plus: true,
        };
        assert_eq!(read(&options, " +41").as_deref(), Ok("+41"));
        assert_eq!(read(&options, "41").as_deref(), Ok("41"));
        assert_eq!(read(&options, "4+1"), Err(OtherCharacter));
        assert_eq!(read(&options, "++1"), Err(OtherCharacter));
    }

    #[test]
    fn options_that_cannot_be_used() {
        for start in ["", "abc", &"1".repeat(65)] {
            let options = NumberOptions {
                strip_prefixes: vec![start.to_owned()],
                keep_plus: false,
            };
            assert_eq!(
                Normaliser::new(&options).unwrap_err(),
                OptionsError::StripPrefix(start.to_owned())
            );
        }
    }

    #[test]
    fn a_long_number_is_cut() {
        let normaliser = Normaliser::default();
        let (digits, is_longer) = normaliser.read(&"7".repeat(65)).unwrap();
        assert_eq!((digits.len(), is_longer), (64, true));
        assert!(normaliser.read(&("7".repeat(65) + "x")).is_err());
    }
}
