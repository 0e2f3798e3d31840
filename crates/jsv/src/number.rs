//! Numbers and booleans as ServiceStack writes and reads them.

use std::fmt::Write as _;
use std::str::FromStr;

/// Reads a whole number: blanks around it and leading zeros are fine; a plus sign, a fraction or
/// separators are not.
pub(crate) fn whole<T: FromStr>(text: &str) -> Option<T> {
    let text = text.trim_ascii();
    if text.starts_with('+') {
        return None;
    }
    text.parse().ok()
}

/// Reads a floating-point number: exponents, blanks around it, `NaN`, `Infinity`, `-Infinity`, and
/// thousands separators, which only quoted text can hold.
pub(crate) fn float<T: FromStr>(text: &str) -> Option<T> {
    let text = text.trim_ascii();
    match text {
        "NaN" => return T::from_str("NaN").ok(),
        "Infinity" => return T::from_str("inf").ok(),
        "-Infinity" => return T::from_str("-inf").ok(),
        _ => {}
    }
    // The standard parser also accepts words (`inf`, `infinity`). Here, letters other than the
    // exponent's are refused.
    let digits = |byte: u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    if text.bytes().all(digits) {
        return text.parse().ok();
    }
    without_separators(text)?.parse().ok()
}

/// `1,234,567.8` without its commas; `None` unless they separate the digits of the whole part in
/// groups of three.
fn without_separators(text: &str) -> Option<String> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", text),
    };
    let (whole, fraction) = match unsigned.find('.') {
        Some(point) => unsigned.split_at(point),
        None => (unsigned, ""),
    };
    let mut groups = whole.split(',');
    let first = groups
        .next()
        .filter(|group| (1..=3).contains(&group.len()))?;
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = all_digits(first)
        && groups.all(|group| group.len() == 3 && all_digits(group))
        && all_digits(fraction.strip_prefix('.').unwrap_or_default());
    fits.then(|| format!("{sign}{}{fraction}", whole.replace(',', "")))
}

/// Reads a boolean in any of ServiceStack's spellings, in any case.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    let text = text.trim_ascii();
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    if ["true", "1", "t", "y", "on"].iter().any(is) {
        Some(true)
    } else if ["false", "0", "f", "n", "off"].iter().any(is) {
        Some(false)
    } else {
        None
    }
}

/// Writes a double in .NET's shortest form that reads back the same: `12`, `0.5`, `1E+20`, `1E-05`,
/// `NaN`.
pub(crate) fn push_f64(out: &mut String, value: f64) {
    let size = value.abs();
    // Most values are whole seconds, and whole numbers are faster to write.
    #[expect(clippy::cast_possible_truncation, reason = "compared with what it was")]
    let whole = value as i64;
    #[expect(clippy::cast_precision_loss, reason = "compared with what it was")]
    let exact = (whole as f64).to_bits() == value.to_bits();
    if exact && size < 1e15 {
        out.push_str(itoa::Buffer::new().format(whole));
    } else if size == 0.0 || (1e-4..1e15).contains(&size) {
        push_plain(out, zmij::Buffer::new().format_finite(value));
    } else if value.is_finite() {
        push_scientific(out, format_args!("{value:e}"));
    } else {
        push_named(out, value);
    }
}

/// Like [`push_f64`], but for singles .NET uses an exponent from 10 million on.
pub(crate) fn push_f32(out: &mut String, value: f32) {
    let size = value.abs();
    if size == 0.0 || (1e-4..1e7).contains(&size) {
        push_plain(out, zmij::Buffer::new().format_finite(value));
    } else if value.is_finite() {
        push_scientific(out, format_args!("{value:e}"));
    } else {
        push_named(out, f64::from(value));
    }
}

fn push_plain(out: &mut String, text: &str) {
    out.push_str(text.strip_suffix(".0").unwrap_or(text));
}

fn push_named(out: &mut String, value: f64) {
    out.push_str(if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    });
}

/// `1.5e-7` becomes `1.5E-07`.
fn push_scientific(out: &mut String, text: std::fmt::Arguments<'_>) {
    let start = out.len();
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
    let Some(e) = out.get(start..).and_then(|text| text.find('e')) else {
        return;
    };
    let exponent = out.split_off(start + e);
    let exponent = exponent.trim_start_matches('e');
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    let _ = write!(out, "E{sign}{digits:0>2}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: f64) -> String {
        let mut out = String::new();
        push_f64(&mut out, value);
        out
    }

    #[test]
    fn doubles_are_written_as_dotnet_does() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (12.0, "12"),
            (-1.5, "-1.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (0.0001, "0.0001"),
            (0.00001, "1E-05"),
            (999_999_999_999_999.0, "999999999999999"),
            (1e15, "1E+15"),
            (1e20, "1E+20"),
            (f64::MAX, "1.7976931348623157E+308"),
            (5e-324, "5E-324"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in cases {
            assert_eq!(written(value), text);
        }
        let mut out = String::new();
        push_f32(&mut out, 1e7);
        assert_eq!(out, "1E+07");
    }

    #[test]
    fn free_text_never_becomes_a_number() {
        for text in [
            "", "inf", "infinity", "nan", "1 2", "0x10", "1_000", "e", "12s", "1,00", "1,,000",
            ",1", "1,000e3",
        ] {
            assert_eq!(float::<f64>(text), None, "{text:?}");
        }
        for text in ["", "+1", "1.0", "1,000", "1e3", "0x1", "٣"] {
            assert_eq!(whole::<i64>(text), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_in_every_accepted_form() {
        assert_eq!(float::<f64>(" 1,234,567.5 "), Some(1_234_567.5));
        assert_eq!(float::<f64>("-1,000"), Some(-1000.0));
        assert_eq!(float::<f64>("1E+20"), Some(1e20));
        assert_eq!(float::<f64>("Infinity"), Some(f64::INFINITY));
        assert_eq!(whole::<i32>(" -007 "), Some(-7));
        assert_eq!(whole::<u8>("256"), None);
    }
}
