//! Parses and formats durations (`30s`, `1h30m`, `3d`) and sizes (`10GiB`, `500MB`).

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Parses a duration: numbers with units from `ms` to `w`, without a sign.
///
/// # Errors
/// With a message in lower case that says what to write instead.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const TEACH: &str = "write a number and a unit, such as 30s, 5m, 1h30m or 3d";
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
        return Err(format!(
            "{text:?} has no unit; did you mean {text}s (seconds)?"
        ));
    }
    // The library also accepts ISO 8601 ("PT5M").
    if text.starts_with(['P', 'p', '-', '+']) {
        return Err(format!("{text:?} is not a duration; {TEACH}"));
    }
    let span: Span = text
        .parse()
        .map_err(|_| format!("{text:?} is not a duration; {TEACH}"))?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(format!(
            "{text:?} has months or years, whose length varies; write days or weeks"
        ));
    }
    if span.is_negative() {
        return Err(format!("{text:?} is negative; {TEACH}"));
    }
    span.to_duration(SpanRelativeTo::days_are_24_hours())
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| format!("{text:?} is too long"))
}

/// Formats a duration for [`parse_duration`], in the largest units that keep it exact.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, millis) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ] {
        let count = rest / millis;
        if count > 0 {
            text.push_str(&count.to_string());
            text.push_str(unit);
            rest %= millis;
        }
    }
    text
}

/// Parses a number of bytes: a whole number with `B`, `kB`, `MB`, `GB`, `TB` (powers of 1000) or
/// `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024).
///
/// # Errors
/// With a message in lower case that says what to write instead.
pub fn parse_size(text: &str) -> Result<u64, String> {
    const TEACH: &str = "write a whole number and a unit, such as 500MB or 10GiB";
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| format!("{text:?} is not a size; {TEACH}"))?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        "" => return Err(format!("{text:?} has no unit; did you mean {text}MiB?")),
        _ => return Err(format!("{text:?} is not a size; {TEACH}")),
    };
    number
        .checked_mul(factor)
        .ok_or_else(|| format!("{text:?} is too large"))
}

/// Formats a size for [`parse_size`], in the largest binary unit that keeps it exact.
pub fn format_size(bytes: u64) -> String {
    [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]
        .into_iter()
        .find(|(_, shift)| bytes > 0 && bytes.is_multiple_of(1 << shift))
        .map_or_else(
            || format!("{bytes}B"),
            |(unit, shift)| format!("{}{unit}", bytes >> shift),
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_parsed() {
        for (text, seconds) in [
            ("30s", 30.0),
            ("5m", 300.0),
            ("1h30m", 5_400.0),
            ("1h 30m", 5_400.0),
            ("3d", 259_200.0),
            ("2w", 1_209_600.0),
            ("250ms", 0.25),
            ("1.5h", 5_400.0),
            ("0", 0.0),
            ("0s", 0.0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs_f64(seconds)),
                "{text}"
            );
        }
        for text in [
            "",
            "x",
            "5",
            "-5m",
            "PT5M",
            "1mo",
            "1y",
            "5 parsecs",
            "5m ago",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        assert_eq!(parse_size("10GiB"), Ok(10 << 30));
        assert_eq!(parse_size("500 MB"), Ok(500_000_000));
        assert_eq!(parse_size("7b"), Ok(7));
        for text in [
            "",
            "10",
            "GiB",
            "1.5GiB",
            "-1MB",
            "1XB",
            "99999999999999TiB",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_formatted_size_is_parsed_back(bytes in proptest::num::u64::ANY, shift in 0_u32..40) {
            let bytes = bytes >> shift << shift;
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn a_formatted_duration_is_parsed_back(millis in 0_u64..10_000_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }
}
