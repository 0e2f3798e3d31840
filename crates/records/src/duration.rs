//! Durations: seconds as an API writes them to whole milliseconds, to the nearest, halves away from zero.
//!
//! A duration that is negative, not finite, or longer than [`MAX_MILLIS`] is no duration: it is unreadable, never
//! clamped. The bound keeps the sum of four million of the longest inside an `i64`.

use crate::money;

/// The longest duration taken: 2³¹ − 1 seconds, 68 years.
pub const MAX_MILLIS: i64 = 2_147_483_647_000;

/// Milliseconds of a decimal text of seconds, exact for what the text says (`12.3455` is 12,346).
///
/// Takes what JSON takes as a number, with blanks around. `None`: not such a text, or no duration.
pub fn millis_from_text(text: &str) -> Option<i64> {
    in_bounds(money::scaled_from_text(text, 3)?)
}

/// Milliseconds of seconds in a double: those of its shortest decimal text, so that `1.0005` gives 1,001 although
/// the double lies a hair below. `None`: no duration.
pub fn millis_from_f64(seconds: f64) -> Option<i64> {
    let millis = seconds * 1000.0;
    // The product is off by a few ulp at most: only near a half can that change the nearest integer.
    if (millis - millis.floor() - 0.5).abs() > 1e-3 && (0.0..1e12).contains(&millis) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked: 0 ≤ millis < 1e12"
        )]
        return in_bounds(i128::from(millis.round() as i64));
    }
    in_bounds(money::scaled_from_f64(seconds, 3)?)
}

fn in_bounds(millis: i128) -> Option<i64> {
    i64::try_from(millis)
        .ok()
        .filter(|millis| (0..=MAX_MILLIS).contains(millis))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nearest_millisecond_of_the_text() {
        for (text, millis) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("0.0004", Some(0)),
            ("0.0005", Some(1)),
            ("12", Some(12_000)),
            (" 12.25 ", Some(12_250)),
            ("12.3454999", Some(12_345)),
            ("12.3455", Some(12_346)),
            ("1e3", Some(1_000_000)),
            ("1.5E-1", Some(150)),
            ("2147483647", Some(MAX_MILLIS)),
            ("2147483647.001", None),
            ("-0.001", None),
            ("NaN", None),
            ("Infinity", None),
            ("1,000", None),
            ("", None),
            (".", None),
            ("1.", None),
            ("0x10", None),
            ("1e999999999", None),
            ("eleven", None),
        ] {
            assert_eq!(millis_from_text(text), millis, "{text:?}");
        }
    }

    #[test]
    fn doubles_that_are_no_duration() {
        for seconds in [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -1.0,
            1e300,
            2_147_483_648.0,
        ] {
            assert_eq!(millis_from_f64(seconds), None, "{seconds}");
        }
        assert_eq!(millis_from_f64(1.0005), Some(1_001));
        assert_eq!(millis_from_f64(5e-324), Some(0));
        assert_eq!(millis_from_f64(-0.0), Some(0));
    }

    proptest! {
        #[test]
        fn a_double_means_its_shortest_text(seconds in prop_oneof![
            0.0..1e7f64,
            (0u64..20_000_000_000).prop_map(|n| { #[expect(clippy::cast_precision_loss, reason = "a sample")] { n as f64 / 2000.0 } }),
        ]) {
            prop_assert_eq!(millis_from_f64(seconds), millis_from_text(&seconds.to_string()));
        }
    }
}
