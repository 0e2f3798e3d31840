//! Reads `NaN` and `Infinity`, which are not JSON, but which .NET and others write.

use std::borrow::Cow;

const WORDS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// The text with bare `NaN`, `Infinity` and `-Infinity` in quotes; borrowed when it has none.
///
/// With quotes they make only their own member unreadable, instead of the whole text.
pub(crate) fn quote(text: &str) -> Cow<'_, str> {
    let mut quoted = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(&byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => at = after_string(text, at + 1),
            b'N' | b'I' | b'-' => {
                let rest = text.get(at..).unwrap_or_default();
                match WORDS.iter().find(|word| rest.starts_with(**word)) {
                    Some(word) => {
                        quoted.push_str(text.get(copied..at).unwrap_or_default());
                        quoted.push('"');
                        quoted.push_str(word);
                        quoted.push('"');
                        at += word.len();
                        copied = at;
                    }
                    None => at += 1,
                }
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    quoted.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(quoted)
}

/// The end of the string whose first character is at `at`.
fn after_string(text: &str, mut at: usize) -> usize {
    while let Some(&byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_words_outside_of_strings_only() {
        for (text, quoted) in [
            (
                r#"{"a":NaN,"b":[-Infinity,Infinity]}"#,
                r#"{"a":"NaN","b":["-Infinity","Infinity"]}"#,
            ),
            (
                r#"{"NaN":"a \"NaN\" é","b":-1}"#,
                r#"{"NaN":"a \"NaN\" é","b":-1}"#,
            ),
            ("NaN", r#""NaN""#),
            (r#"{"a":"#, r#"{"a":"#),
            (r#"{"a":"NaN"#, r#"{"a":"NaN"#),
        ] {
            assert_eq!(quote(text), quoted);
        }
    }
}
