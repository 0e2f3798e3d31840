//! Ids: a GUID is the same id in every spelling.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// An id in the form in which ids are compared: a GUID as 32 lower-case hexadecimal digits, any
/// other text without the spaces around it.
///
/// The spellings of a GUID are recognised that .NET writes (N, D, B, P and X), in either case, and
/// `urn:uuid:…` of RFC 9562.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanonicalId<'a>(Form<'a>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form<'a> {
    Guid([u8; 32]),
    Text(&'a str),
}

impl<'a> CanonicalId<'a> {
    /// The canonical form of an id.
    pub fn new(id: &'a str) -> Self {
        let id = trimmed(id);
        Self(guid_digits(id).map_or(Form::Text(id), Form::Guid))
    }

    /// The same as [`id_hash`].
    pub fn hash(&self) -> u64 {
        xxh3_64(self.as_bytes())
    }

    /// A hash that is wide enough to stand in for the id.
    pub fn wide_hash(&self) -> u128 {
        xxh3_128(self.as_bytes())
    }

    /// The bytes of the canonical form. Equal ids have equal bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Guid(digits) => digits,
            Form::Text(text) => text.as_bytes(),
        }
    }
}

/// The hash of a record's id, as the journal stores it. Two ids may have the same hash: compare the
/// ids where that matters.
pub fn id_hash(id: &str) -> u64 {
    CanonicalId::new(id).hash()
}

/// The id without the blanks around it. Nearly all ids begin and end with a visible character of
/// ASCII, which is seen without decoding.
fn trimmed(id: &str) -> &str {
    match id.as_bytes() {
        [b'!'..=b'~', .., b'!'..=b'~'] => id,
        _ => id.trim(),
    }
}

const URN: &[u8] = b"urn:uuid:";

/// The digits of `{0x01234567,0x0123,0x0123,{0x01,0x01,0x01,0x01,0x01,0x01,0x01,0x01}}`.
fn digits_in_parts(text: &str) -> Option<[u8; 32]> {
    const WIDTHS: [usize; 11] = [8, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2];
    let (first, last) = text
        .strip_prefix('{')?
        .strip_suffix("}}")?
        .split_once('{')?;
    let parts = first.strip_suffix(',')?.split(',').chain(last.split(','));
    let mut digits = [0; 32];
    let mut next = digits.iter_mut();
    let mut widths = WIDTHS.iter();
    for part in parts {
        let hex = part
            .strip_prefix("0x")
            .or_else(|| part.strip_prefix("0X"))?
            .as_bytes();
        if hex.len() != *widths.next()? || !hex.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        for byte in hex {
            *next.next()? = byte.to_ascii_lowercase();
        }
    }
    widths.next().is_none().then_some(digits)
}

/// The digits of a GUID in lower case; `None` if the text is not a GUID.
fn guid_digits(text: &str) -> Option<[u8; 32]> {
    // The form in which nearly all come.
    if let Ok(dashed) = text.as_bytes().try_into()
        && let Some(digits) = without_dashes(dashed)
    {
        return Some(digits);
    }
    let bytes = match text.as_bytes() {
        [b'{', b'0', b'x' | b'X', ..] => return digits_in_parts(text),
        [b'{', inner @ .., b'}'] | [b'(', inner @ .., b')'] => inner,
        bytes => match bytes.split_at_checked(URN.len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(URN) => rest,
            _ => bytes,
        },
    };
    if let Ok(dashed) = bytes.try_into() {
        return without_dashes(dashed);
    }
    let digits: &[u8; 32] = bytes.try_into().ok()?;
    let (words, _) = digits.as_chunks();
    let word = |at| words.get(at).map_or(0, |word| u64::from_le_bytes(*word));
    lower_hex(std::array::from_fn(word))
}

/// The digits of a GUID with dashes. Each part is loaded from its place as a number: 140
/// instructions for an id, where copies of the parts took 220.
fn without_dashes(text: &[u8; 36]) -> Option<[u8; 32]> {
    if [8, 13, 18, 23]
        .iter()
        .any(|at| text.get(*at) != Some(&b'-'))
    {
        return None;
    }
    let four = |at: usize| {
        let bytes = text.get(at..).and_then(<[u8]>::first_chunk);
        u64::from(u32::from_le_bytes(*bytes.unwrap_or(&[0; 4])))
    };
    let word = |first, second| four(first) | (four(second) << 32);
    lower_hex([word(0, 4), word(9, 14), word(19, 24), word(28, 32)])
}

/// 32 hexadecimal digits in lower case, eight at a time; `None` if one of the bytes is none.
fn lower_hex(words: [u64; 4]) -> Option<[u8; 32]> {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    /// The high bit of each byte from `first` to `last`; for bytes below 128.
    fn between(word: u64, first: u8, last: u8) -> u64 {
        let from_first = word.wrapping_add(ONES * u64::from(0x80 - first));
        let beyond_last = word.wrapping_add(ONES * u64::from(0x7f - last));
        from_first & !beyond_last & HIGH
    }
    let mut valid = HIGH;
    let mut digits = [0; 32];
    let (places, _) = digits.as_chunks_mut();
    for (place, word) in places.iter_mut().zip(words) {
        let letters = between(word | (ONES * 0x20), b'a', b'f');
        valid &= (between(word, b'0', b'9') | letters) & !word;
        *place = (word | (letters >> 2)).to_le_bytes();
    }
    (valid == HIGH).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_one_id_in_every_spelling() {
        let digits = "0f8fad5bd9cb469fa16570867728950e";
        for spelling in [
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "0F8FAD5B-D9CB-469F-A165-70867728950E",
            "0F8FAD5BD9CB469FA16570867728950E",
            "{0f8fad5b-d9cb-469f-a165-70867728950e}",
            "(0F8FAD5B-D9CB-469F-A165-70867728950E)",
            "{0f8fad5bd9cb469fa16570867728950e}",
            "{0x0f8fad5b,0xd9cb,0x469f,{0xa1,0x65,0x70,0x86,0x77,0x28,0x95,0x0e}}",
            "{0X0F8FAD5B,0XD9CB,0X469F,{0XA1,0X65,0X70,0X86,0X77,0X28,0X95,0X0E}}",
            "urn:uuid:0f8fad5b-d9cb-469f-a165-70867728950e",
            "URN:UUID:0F8FAD5B-D9CB-469F-A165-70867728950E",
            " 0f8fad5b-d9cb-469f-a165-70867728950e\r\n",
        ] {
            assert_eq!(
                CanonicalId::new(spelling),
                CanonicalId::new(digits),
                "{spelling}"
            );
            assert_eq!(id_hash(spelling), id_hash(digits));
            let wide_hash = |id| CanonicalId::new(id).wide_hash();
            assert_eq!(wide_hash(spelling), wide_hash(digits));
        }
    }

    #[test]
    fn a_digit_is_hexadecimal_or_the_id_is_a_text() {
        for byte in 0..=u8::MAX {
            for place in 0..32 {
                let mut digits = *b"0A1b2C3d4E5f67890a9B8c7D6e5F4321";
                digits[place] = byte;
                let expected = digits
                    .iter()
                    .all(u8::is_ascii_hexdigit)
                    .then(|| digits.to_ascii_lowercase());
                let (words, _) = digits.as_chunks();
                let found = lower_hex(std::array::from_fn(|at| u64::from_le_bytes(words[at])));
                assert_eq!(
                    found.map(|digits| digits.to_vec()),
                    expected,
                    "{byte} at {place}"
                );
            }
        }
    }

    /// Journals store the values: they must not change.
    #[test]
    fn hashes_are_stable() {
        assert_eq!(id_hash("call-1"), 2_803_922_277_869_495_397);
    }

    #[test]
    fn other_texts_are_ids_as_they_are() {
        for text in [
            "",
            "call-1",
            "CALL-1",
            "{0f8fad5b-d9cb-469f-a165-70867728950e)",
            "{0f8fad5b-d9cb-469f-a165-70867728950e",
            "0f8fad5b-d9cb-469fa-165-70867728950e",
            "0f8fad5b-d9cb-469f-a165-70867728950",
            "0f8fad5bd9cb469fa16570867728950g",
            "0f8fad5bd9cb469fa16570867728950é",
            "------------------------------------",
            "{0x0f8fad5b,0xd9cb,0x469f,{0xa1,0x65,0x70,0x86,0x77,0x28,0x95}}",
            "{0x0f8fad5b,0xd9cb,0x469f,{0xa1,0x65,0x70,0x86,0x77,0x28,0x95,0x0e,0x0}}",
            "{0x0f8fad5b,0xd9cb,0x469f,0xa1,0x65,0x70,0x86,0x77,0x28,0x95,0x0e}",
            "urn:uuid:call-1",
        ] {
            assert_eq!(CanonicalId::new(text).as_bytes(), text.as_bytes());
        }
        assert_ne!(CanonicalId::new("call-1"), CanonicalId::new("CALL-1"));
        assert_eq!(CanonicalId::new(" call-1\t"), CanonicalId::new("call-1"));
    }
}
