//! Writes an error with its causes in one line.

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

#[cfg(test)]
mod tests {
    use super::*;

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
