//! Removes secrets from texts that come from a server.

use std::borrow::Cow;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::Secret;

/// Replaces secrets with `***` in any text, in every form in which a server is likely to echo them:
/// plain, JSON-escaped, JSV-quoted, URL-encoded, HTML-escaped, in hexadecimal, with every byte or
/// character escaped (`%50`, `\x50`, `\u0050`), and within base64 at any offset.
///
/// Its time depends on the text only, not on the number of secrets.
///
/// ```
/// use callmeter_api_client::{Scrubber, Secret};
/// let scrubber = Scrubber::new([&Secret::from("s3\"cret")]);
/// assert_eq!(scrubber.scrub(r#"{"password":"s3\"cret"}"#), r#"{"password":"***"}"#);
/// ```
#[derive(Clone, Default)]
pub struct Scrubber {
    /// Finds the forms as they are.
    exact: Option<AhoCorasick>,
    /// Finds the forms with hexadecimal digits, which may be in either case.
    escaped: Option<AhoCorasick>,
}

/// The text that replaces a secret.
const MASK: &str = "***";

/// Base64 is scrubbed down to this many characters: shorter pieces occur in any text.
const SHORTEST_BASE64: usize = 6;

/// Hexadecimal digits alone are scrubbed of secrets of this many bytes: those of shorter ones occur
/// in any id.
const SHORTEST_HEX: usize = 6;

impl Scrubber {
    /// A scrubber of these secrets. Empty ones are ignored.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut needles: Vec<Box<str>> = Vec::new();
        let mut digits: Vec<Box<str>> = Vec::new();
        for secret in secrets {
            if !secret.is_empty() {
                needles.extend(forms(secret.expose()));
                digits.extend(encoded_whole(secret.expose()));
            }
        }
        let (escaped, mut exact): (Vec<_>, Vec<_>) = needles
            .into_iter()
            .partition(|needle| needle.contains('%') || needle.contains("\\u"));
        digits.extend(escaped);
        for needles in [&mut exact, &mut digits] {
            needles.sort_unstable();
            needles.dedup();
        }
        Self {
            exact: finder(&exact, false),
            escaped: finder(&digits, true),
        }
    }

    /// The text without the secrets; borrowed when it contains none.
    pub fn scrub<'t>(&self, text: &'t str) -> Cow<'t, str> {
        mask(text, self.find(text))
    }

    /// The text without the secrets of all these scrubbers.
    pub fn scrub_all<'t>(scrubbers: &[Self], text: &'t str) -> Cow<'t, str> {
        let found = scrubbers.iter().flat_map(|scrubber| scrubber.find(text));
        mask(text, found.collect())
    }

    /// Where the text has secrets. The places may overlap.
    fn find(&self, text: &str) -> Vec<Range<usize>> {
        let finders = self.exact.iter().chain(&self.escaped);
        finders
            .flat_map(|finder| finder.find_overlapping_iter(text))
            .map(|found| found.range())
            .collect()
    }
}

impl std::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let finders = self.exact.iter().chain(&self.escaped);
        let forms: usize = finders.map(AhoCorasick::patterns_len).sum();
        write!(f, "Scrubber({forms} forms)")
    }
}

/// Finds any of the needles; `None` without any.
fn finder(needles: &[Box<str>], ignore_case: bool) -> Option<AhoCorasick> {
    if needles.is_empty() {
        return None;
    }
    AhoCorasickBuilder::new()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .ascii_case_insensitive(ignore_case)
        .build(needles.iter().map(|needle| needle.as_bytes()))
        .inspect_err(|error| tracing::error!(%error, "secrets cannot be removed from texts"))
        .ok()
}

/// The text with a mask in the place of each part that was found; parts that overlap get one.
fn mask(text: &str, mut found: Vec<Range<usize>>) -> Cow<'_, str> {
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    found.sort_unstable_by_key(|range| (range.start, range.end));
    let mut clean = String::with_capacity(text.len());
    let mut masked = 0..0;
    for range in found {
        if range.start < masked.end {
            masked.end = masked.end.max(range.end);
            continue;
        }
        if !masked.is_empty() {
            clean.push_str(MASK);
        }
        clean.push_str(text.get(masked.end..range.start).unwrap_or_default());
        masked = range;
    }
    clean.push_str(MASK);
    clean.push_str(text.get(masked.end..).unwrap_or_default());
    Cow::Owned(clean)
}

fn forms(secret: &str) -> Vec<Box<str>> {
    let mut forms: Vec<String> = vec![secret.to_owned(), secret.replace('"', "\"\"")];
    if let Ok(quoted) = serde_json::to_string(secret) {
        let inner = quoted
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(&quoted)
            .to_owned();
        forms.push(inner.replace('/', "\\/"));
        // An escaped text inside another one, as in a logged request.
        forms.push(inner.replace('\\', "\\\\").replace('"', "\\\""));
        forms.push(inner);
    }
    forms.push(json_ascii(secret, |c| !c.is_ascii()));
    forms.push(json_ascii(secret, |c| {
        !c.is_ascii() || "<>&'+\"".contains(c)
    }));
    forms.push(percent(secret, |b| {
        b.is_ascii_alphanumeric() || b"-._~".contains(&b)
    }));
    forms.push(percent(secret, |b| {
        b.is_ascii_alphanumeric() || b"-._~!*'()".contains(&b)
    }));
    forms.push(
        percent(secret, |b| {
            b.is_ascii_alphanumeric() || b"-._*".contains(&b)
        })
        .replace("%20", "+"),
    );
    let html = secret
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;");
    forms.push(html.replace('\'', "&#39;"));
    forms.push(html);
    forms.extend(base64_pieces(secret.as_bytes()));
    forms.into_iter().map(String::into_boxed_str).collect()
}

/// The forms in which every byte or character of a secret is written in hexadecimal digits.
fn encoded_whole(secret: &str) -> Vec<Box<str>> {
    use std::fmt::Write as _;

    let written = |before: &str, width: usize, numbers: &[u16]| {
        let mut out = String::new();
        for number in numbers {
            let _ = write!(out, "{before}{number:0width$x}");
        }
        out.into_boxed_str()
    };
    let bytes: Vec<u16> = secret.bytes().map(u16::from).collect();
    let units: Vec<u16> = secret.encode_utf16().collect();
    let mut forms = vec![written("%", 2, &bytes)];
    if secret.len() >= SHORTEST_HEX {
        forms.push(written("", 2, &bytes));
    }
    // A text with escapes may be escaped again, as in a logged request, and once more in a log.
    for backslashes in ["\\", "\\\\", "\\\\\\\\"] {
        forms.push(written(&format!("{backslashes}x"), 2, &bytes));
        forms.push(written(&format!("{backslashes}u"), 4, &units));
        if !secret.is_ascii() {
            forms.push(written(&format!("{backslashes}u"), 4, &bytes));
        }
    }
    forms
}

/// The text as JSON that escapes some characters by number, as ASCII-only writers do.
fn json_ascii(text: &str, escaped: impl Fn(char) -> bool) -> String {
    use std::fmt::Write as _;

    let mut out = String::new();
    for c in text.chars() {
        match c {
            c if escaped(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out
}

fn percent(text: &str, plain: impl Fn(u8) -> bool) -> String {
    use std::fmt::Write as _;

    let mut out = String::new();
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The characters that a secret gives within the base64 of a longer text, for each of the three
/// offsets at which it may start: only those that depend on the secret alone.
fn base64_pieces(secret: &[u8]) -> impl Iterator<Item = String> {
    let mut pieces = Vec::new();
    for offset in 0..3_usize {
        let mut padded = vec![0_u8; offset];
        padded.extend_from_slice(secret);
        // Characters that also depend on the neighbouring bytes are left out.
        let first = (offset * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        for text in [
            STANDARD_NO_PAD.encode(&padded),
            URL_SAFE_NO_PAD.encode(&padded),
        ] {
            if let Some(piece) = text.get(first..last)
                && piece.len() >= SHORTEST_BASE64
            {
                pieces.push(piece.to_owned());
            }
        }
    }
    // The base64 of the secret alone, however short.
    pieces.push(STANDARD_NO_PAD.encode(secret));
    pieces.into_iter().filter(|piece| piece.len() >= 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scrubber(secret: &str) -> Scrubber {
        Scrubber::new([&Secret::from(secret)])
    }

    #[test]
    fn finds_every_form() {
        let secret = "pä\"ss/w&rd+1 x\\y";
        let scrubber = scrubber(secret);
        let echoes = [
            secret.to_owned(),
            serde_json::to_string(secret).unwrap(),
            serde_json::to_string(&serde_json::to_string(secret).unwrap()).unwrap(),
            format!("{{Password:\"{}\"}}", secret.replace('"', "\"\"")),
            "p\\u00E4\\\"ss/w&rd+1 x\\\\y".to_owned(),
            "p%c3%a4%22ss%2fw%26rd%2b1+x%5cy".to_owned(),
            "p%C3%A4%22ss%2Fw%26rd%2B1%20x%5Cy".to_owned(),
            "pä&quot;ss/w&amp;rd+1 x\\y".to_owned(),
        ];
        for echo in echoes {
            let clean = scrubber.scrub(&echo);
            assert!(clean.contains(MASK), "{echo} -> {clean}");
            assert!(
                !clean.contains("rd+1") && !clean.contains("rd%2"),
                "{echo} -> {clean}"
            );
        }
    }

    /// As debuggers, dumps and careless encoders write it.
    #[test]
    fn finds_a_secret_of_which_every_byte_is_encoded() {
        let secret = "Pä55/word+xyz";
        let scrubber = scrubber(secret);
        let bytes = |form: fn(u8) -> String| secret.bytes().map(form).collect::<String>();
        let units = |form: fn(u16) -> String| secret.encode_utf16().map(form).collect::<String>();
        for echo in [
            bytes(|b| format!("{b:02x}")),
            bytes(|b| format!("{b:02X}")),
            bytes(|b| format!("%{b:02x}")),
            bytes(|b| format!("%{b:02X}")),
            bytes(|b| format!("\\x{b:02x}")),
            bytes(|b| format!("\\x{b:02X}")),
            bytes(|b| format!("\\u{b:04x}")),
            bytes(|b| format!("\\u{b:04X}")),
            units(|u| format!("\\u{u:04x}")),
            units(|u| format!("\\u{u:04X}")),
            units(|u| format!("\\\\u{u:04x}")),
            units(|u| format!("\\\\\\\\u{u:04x}")),
        ] {
            assert_eq!(scrubber.scrub(&format!("<{echo}>")), "<***>", "{echo}");
        }
    }

    /// The hexadecimal digits of a short secret occur in any id.
    #[test]
    fn digits_of_a_short_secret_are_no_secret() {
        let scrubber = scrubber("admin");
        assert_eq!(scrubber.scrub("id 61646d696e"), "id 61646d696e");
        assert_eq!(scrubber.scrub("admin"), MASK);
    }

    #[test]
    fn leaves_other_texts_alone() {
        let scrubber = scrubber("hunter2");
        assert!(matches!(scrubber.scrub("nothing here"), Cow::Borrowed(_)));
        assert_eq!(Scrubber::new([&Secret::from("")]).scrub("a"), "a");
    }

    #[test]
    fn secrets_that_overlap_are_masked_whole() {
        let secrets = ["abcd", "cdef", "b"].map(Secret::from);
        let together = Scrubber::new(&secrets);
        let apart: Vec<_> = secrets.iter().map(|one| Scrubber::new([one])).collect();
        for (text, clean) in [
            ("xabcdefx", "x***x"),
            ("abcdcdef", "******"),
            ("b", "***"),
            ("xx", "xx"),
        ] {
            assert_eq!(together.scrub(text), clean);
            assert_eq!(Scrubber::scrub_all(&apart, text), clean);
        }
    }

    proptest! {
        #[test]
        fn finds_it_in_the_base64_of_anything(
            before in "[ -~]{0,9}", secret in "[a-zA-Z0-9+/#]{9,20}", after in "[ -~]{0,9}"
        ) {
            let text = STANDARD_NO_PAD.encode(format!("{before}{secret}{after}"));
            prop_assert!(scrubber(&secret).scrub(&text).contains(MASK));
        }

        #[test]
        fn no_text_keeps_the_secret(text in "\\PC{0,40}", secret in "[a-z%\\\\u\"]{1,5}") {
            let whole = format!("{text}{secret}{text}");
            let clean = scrubber(&secret).scrub(&whole).into_owned();
            prop_assert!(!clean.replace(MASK, "\u{1}").contains(&secret), "{clean}");
        }
    }
}
