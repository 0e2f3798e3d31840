//! The ends of scalars in JSON, and the escapes of texts.

/// Whether a byte can be part of a value without quotes.
#[inline]
pub(super) fn is_bare(byte: u8) -> bool {
    BARE[byte as usize]
}

static BARE: [bool; 256] = {
    let mut bare = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        bare[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        byte += 1;
    }
    bare
};

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// How far texts are compared by words. A search for the ends of longer ones pays for its start.
const NEAR: usize = 48;

/// Where the quotes and backslashes of a word are: the high bits of their bytes. Bits above the
/// first one of each may be wrong.
#[inline]
fn marks(word: [u8; 8]) -> (u64, u64) {
    fn zeros(word: u64) -> u64 {
        word.wrapping_sub(ONES) & !word & HIGH
    }
    let word = u64::from_le_bytes(word);
    let quotes = zeros(word ^ (ONES * u64::from(b'"')));
    (quotes, zeros(word ^ (ONES * u64::from(b'\\'))))
}

/// Where the first `"` or `\` is, if that is near. Most strings are short: comparing eight bytes at
/// a time finds their end before a search for long ones would have started.
#[inline]
pub(crate) fn near_quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().take(NEAR / 8).enumerate() {
        let (quotes, backslashes) = marks(*word);
        let found = quotes | backslashes;
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    None
}

/// Where a text without escapes ends: at its quote.
#[expect(
    clippy::inline_always,
    reason = "measured: calls of it cost 300 instructions a row"
)]
#[inline(always)]
pub(super) fn end_of_text(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk() {
        let (quotes, backslashes) = marks(*word);
        let found = quotes | backslashes;
        if found != 0 {
            let is_quote = quotes & found & found.wrapping_neg() != 0;
            return is_quote.then_some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
        rest = after;
        if at == NEAR {
            break;
        }
    }
    let end = at + memchr::memchr2(b'"', b'\\', rest)?;
    (*bytes.get(end)? == b'"').then_some(end)
}

/// Resolves the escapes of a string's content; `None` when one is broken. Half a surrogate pair
/// becomes U+FFFD.
pub(super) fn unescape(raw: &str, out: &mut String) -> Option<()> {
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(rest.get(..at)?);
        let code = *rest.as_bytes().get(at + 1)?;
        rest = rest.get(at + 2..)?;
        match code {
            b'"' => out.push('"'),
            b'\\' => out.push('\\'),
            b'/' => out.push('/'),
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => {
                let unit = hex4(rest)?;
                rest = rest.get(4..)?;
                let low = rest.strip_prefix("\\u").and_then(hex4);
                match (unit, low) {
                    (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
                        rest = rest.get(6..)?;
                        let code = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
                        out.push(char::from_u32(code)?);
                    }
                    _ => out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)),
                }
            }
            _ => return None,
        }
    }
    out.push_str(rest);
    Some(())
}

fn hex4(text: &str) -> Option<u32> {
    let digits = text.get(..4)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}
