//! Repairs text in which some records are in Windows-1252 instead of UTF-8.

use std::borrow::Cow;

/// The text of `bytes`, repaired if it is not UTF-8.
pub(crate) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(repair(bytes)),
    }
}

/// The characters of the bytes 80 to 9F. The five bytes without one are control characters, as in
/// browsers.
const FROM_80: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The text of `bytes`. Bytes that are not UTF-8 are read as Windows-1252; all others stay as they
/// are.
pub fn repair(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| {
            let control = byte.checked_sub(0x80).map(usize::from);
            let special = control.and_then(|index| FROM_80.get(index));
            special.copied().unwrap_or(char::from(*byte))
        }));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::repair;

    #[test]
    fn only_bytes_that_are_not_utf8_change() {
        assert_eq!(
            repair(b"M\xFCller \x80 \xC3\xBC \xEF\xBF\xBD"),
            "Müller € ü \u{FFFD}"
        );
        // The beginning of a longer character, cut off by a quote.
        assert_eq!(repair(b"\"\xF0\x9F\x98\""), "\"ðŸ˜\"");
    }
}
