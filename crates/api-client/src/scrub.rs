//! Removes secrets from texts that come from a server.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::Secret;

/// Replaces secrets with `***` in any text, in every form in which a server is likely to echo them:
/// plain, JSON-escaped, JSV-quoted, URL-encoded, HTML-escaped, and within base64 at any offset.
///
/// ```
/// use api_client::{Scrubber, Secret};
/// let scrubber = Scrubber::new([&Secret::from("s3\"cret")]);
/// assert_eq!(scrubber.scrub(r#"{"password":"s3\"cret"}"#), r#"{"password":"***"}"#);
/// ```
#[derive(Clone, Default)]
pub struct Scrubber {
    /// Longest first, so that a form that contains another one is replaced first.
    needles: Vec<Box<str>>,
}

/// The text that replaces a secret.
const MASK: &str = "***";

/// Base64 is scrubbed down to this many characters: shorter pieces occur in any text.
const SHORTEST_BASE64: usize = 6;

impl Scrubber {
    /// A scrubber of these secrets. Empty ones are ignored.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut needles: Vec<Box<str>> = Vec::new();
        for secret in secrets {
            if !secret.is_empty() {
                needles.extend(forms(secret.expose()));
            }
        }
        needles.sort_by_cached_key(|needle| (std::cmp::Reverse(needle.len()), needle.clone()));
        needles.dedup();
        Self { needles }
    }

    /// The text without the secrets; borrowed when it contains none.
    pub fn scrub<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for needle in &self.needles {
            if let Some(clean) = replace_ignoring_case_of_escapes(&text, needle) {
                text = Cow::Owned(clean);
            }
        }
        text
    }
}

impl std::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scrubber({} forms)", self.needles.len())
    }
}

/// Replaces every occurrence; hexadecimal digits after `%` and `\u` match in either case.
fn replace_ignoring_case_of_escapes(text: &str, needle: &str) -> Option<String> {
    if !needle.contains('%') && !needle.contains("\\u") {
        return text.contains(needle).then(|| text.replace(needle, MASK));
    }
    // Lower-casing ASCII keeps every offset. A match that differs from the needle in more than its
    // escapes is the same secret in another case, which may be hidden, too.
    let (low_text, low_needle) = (text.to_ascii_lowercase(), needle.to_ascii_lowercase());
    let mut clean = String::new();
    let mut from = 0;
    while let Some(found) = low_text.get(from..).and_then(|rest| rest.find(&low_needle)) {
        clean.push_str(text.get(from..from + found)?);
        clean.push_str(MASK);
        from += found + low_needle.len();
    }
    if from == 0 {
        return None;
    }
    clean.push_str(text.get(from..)?);
    Some(clean)
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

    #[test]
    fn leaves_other_texts_alone() {
        let scrubber = scrubber("hunter2");
        assert!(matches!(scrubber.scrub("nothing here"), Cow::Borrowed(_)));
        assert_eq!(Scrubber::new([&Secret::from("")]).scrub("a"), "a");
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
