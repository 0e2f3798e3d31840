//! Writes an error with its causes in one line, and a foreign text without what could forge one.

use std::error::Error;

/// An error with its causes, `outer: inner: innermost`. A cause is left out if the text of the
/// error before it already ends with it.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}

/// Whether a character does not stay in its place: a control character, a line break, or one that
/// changes the direction of the text around it. A text with it can look like another one.
pub fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text of somebody else in one line: each row of line breaks and tabs is one space, and other
/// characters that deceive are left out.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}') {
            if !line.ends_with(' ') {
                line.push(' ');
            }
        } else if !deceives(c) {
            line.push(c);
        }
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_text_is_one_line_that_reads_as_it_is_written() {
        for (text, line) in [
            ("plain, Größe 5 \"x\"", "plain, Größe 5 \"x\""),
            ("a\r\n\n\tb", "a b"),
            ("a\nlevel=error msg=forged\n", "a level=error msg=forged"),
            ("\u{1b}[31mred\u{7}\0", "[31mred"),
            ("a\u{202e}txt.exe\u{2066}b\u{2069}", "atxt.exeb"),
            ("a\u{2028}b\u{85}c\u{200f}", "a b c"),
            ("\n", ""),
        ] {
            assert_eq!(one_line(text), line, "{text:?}");
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{says}")]
    struct Link {
        says: &'static str,
        source: Option<Box<Link>>,
    }

    #[test]
    fn causes_follow_their_error_once() {
        let error = Link {
            says: "cannot poll: refused",
            source: Some(Box::new(Link {
                says: "refused",
                source: Some(Box::new(Link {
                    says: "by the server",
                    source: None,
                })),
            })),
        };
        assert_eq!(chain(&error), "cannot poll: refused: by the server");
    }
}

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
