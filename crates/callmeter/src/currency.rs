//! Codes of currencies. They become labels, so that any other text is refused.

/// Whether a text is written like a code of ISO 4217: three capital letters.
pub(crate) fn is_code(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The code that a server has written, in capitals; the text as it is if it is no code.
pub(crate) fn read(text: &str) -> String {
    let code = text.trim().to_ascii_uppercase();
    if is_code(&code) {
        code
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_three_letters() {
        for (text, code) in [("USD", "USD"), (" usd\n", "USD"), ("Eur", "EUR")] {
            assert_eq!(read(text), code);
            assert!(is_code(code));
        }
        for text in ["", "US", "USDT", "US1", "€", "€€€", "äöü", "U D"] {
            assert_eq!(read(text), text);
            assert!(!is_code(text), "{text}");
        }
    }
}
