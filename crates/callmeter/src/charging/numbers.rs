//! Numbers as the deck writes them: with a country code, unless they are internal.

use std::borrow::Cow;

use crate::config::Numbers;

/// What a number is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Dialled<'n> {
    /// One to look up in the deck.
    Number(Cow<'n, str>),
    /// An extension.
    Internal,
}

impl Numbers {
    /// Reads a number as it was dialled.
    pub(crate) fn read<'n>(&self, number: &'n str) -> Dialled<'n> {
        let plain: String = number
            .chars()
            .filter(|char| !matches!(char, ' ' | '-' | '(' | ')'))
            .collect();
        if plain.starts_with('+') {
            return Dialled::Number(Cow::Borrowed(number));
        }
        if let Some(rest) = strip_longest(&plain, &self.international_prefixes) {
            return Dialled::Number(Cow::Owned(rest.to_owned()));
        }
        let is_number = plain
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'#'));
        let is_short = !plain.is_empty() && plain.len() <= self.internal_digits;
        if is_number && (is_short || strip_longest(&plain, &self.internal_prefixes).is_some()) {
            return Dialled::Internal;
        }
        match &self.country_code {
            // Without a country code, the number is taken as it is.
            Some(code) if is_number && !plain.is_empty() => {
                let trunk = self.trunk_prefix.as_deref().unwrap_or_default();
                let national = plain.strip_prefix(trunk).unwrap_or(&plain);
                Dialled::Number(Cow::Owned(format!("{code}{national}")))
            }
            _ => Dialled::Number(Cow::Borrowed(number)),
        }
    }
}

fn strip_longest<'n>(number: &'n str, starts: &[String]) -> Option<&'n str> {
    starts
        .iter()
        .filter_map(|start| number.strip_prefix(start.as_str()))
        .min_by_key(|rest| rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers() -> Numbers {
        Numbers {
            country_code: Some("41".to_owned()),
            trunk_prefix: Some("0".to_owned()),
            international_prefixes: vec!["00".to_owned(), "0011".to_owned()],
            internal_digits: 4,
            internal_prefixes: vec!["*".to_owned(), "88".to_owned()],
        }
    }

    #[test]
    fn numbers_get_their_country_code_and_extensions_are_internal() {
        for (number, expected) in [
            ("+41 44 555", Some("+41 44 555")),
            (" (+41)44", Some(" (+41)44")),
            ("0044 20 7946", Some("44207946")),
            ("001144 20", Some("4420")),
            ("044 555 12 34", Some("41445551234")),
            ("44 555 12 34", Some("41445551234")),
            ("2041", None),
            ("20 41", None),
            ("*97", None),
            ("8812345678", None),
            ("20411", Some("4120411")),
            ("anonymous", Some("anonymous")),
            ("abc", Some("abc")),
            ("", Some("")),
        ] {
            let read = numbers();
            let read = match read.read(number) {
                Dialled::Number(number) => Some(number.into_owned()),
                Dialled::Internal => None,
            };
            assert_eq!(read.as_deref(), expected, "{number}");
        }
    }

    #[test]
    fn without_a_country_code_a_number_is_taken_as_it_is() {
        let numbers = Numbers {
            country_code: None,
            trunk_prefix: None,
            international_prefixes: Vec::new(),
            internal_digits: 0,
            internal_prefixes: Vec::new(),
        };
        for number in ["4144", "044", "2041", ""] {
            assert_eq!(numbers.read(number), Dialled::Number(number.into()));
        }
    }
}
