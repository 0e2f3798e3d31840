//! Money and balances: exact decimals of nine places, as [`PRECISION`] and [`SCALE`] of `Decimal128` say.

/// Digits of a decimal column.
pub const PRECISION: u8 = 38;
/// Decimal places of a decimal column; a value is an integer of 10⁻⁹.
pub const SCALE: i8 = 9;

/// The largest value: 38 digits.
const LIMIT: i128 = 10i128.pow(38);

/// Units of 10⁻⁹ of a decimal text, to the nearest, halves away from zero.
///
/// Takes what JSON takes as a number, with blanks around. `None`: not such a text, or more than 38 digits.
pub fn from_text(text: &str) -> Option<i128> {
    scaled_from_text(text, SCALE.unsigned_abs().into())
}

/// Units of 10⁻⁹ of a double: of its shortest decimal text. `None`: not finite, or more than 38 digits.
pub fn from_f64(value: f64) -> Option<i128> {
    scaled_from_f64(value, SCALE.unsigned_abs().into())
}

/// Units of 10⁻⁹ of `mantissa` · 10^−`places`, to the nearest, halves away from zero. `None`: more than 38 digits.
pub fn from_parts(mantissa: i128, places: u32) -> Option<i128> {
    let ours = u32::from(SCALE.unsigned_abs());
    let value = if places <= ours {
        mantissa.checked_mul(10i128.pow(ours - places))?
    } else {
        match 10i128.checked_pow(places - ours) {
            Some(divisor) => divide_rounded(mantissa, divisor),
            None => 0,
        }
    };
    (value.unsigned_abs() < LIMIT.unsigned_abs()).then_some(value)
}

/// The decimal text of units of 10⁻⁹, shortest: `12.5`, `-0.00001`, `3`.
pub fn to_text(units: i128) -> String {
    let scale = 10u128.pow(u32::from(SCALE.unsigned_abs()));
    let (whole, rest) = (units.unsigned_abs() / scale, units.unsigned_abs() % scale);
    let sign = if units < 0 { "-" } else { "" };
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    let text = format!("{sign}{whole}.{rest:09}");
    text.trim_end_matches('0').to_owned()
}

pub(crate) fn scaled_from_f64(value: f64, places: u32) -> Option<i128> {
    if !value.is_finite() {
        return None;
    }
    // `{:e}` is the shortest text that reads back as the same double, with no run of zeros.
    scaled_from_text(&format!("{value:e}"), places)
}

/// `text` · 10^places as an integer, to the nearest, halves away from zero.
pub(crate) fn scaled_from_text(text: &str, places: u32) -> Option<i128> {
    let text = text.trim_ascii();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (digits, exponent) = match digits.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (digits, ""),
    };
    if whole.is_empty() {
        return None;
    }
    // The digit at index i (of all digits) has the weight 10^(whole − 1 − i + exponent + places).
    let point = i64::try_from(whole.len()).ok()? + i64::from(exponent) + i64::from(places);
    let mut value: i128 = 0;
    let mut round_up = false;
    let mut taken: i64 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return None;
        }
        let digit = i128::from(byte - b'0');
        if taken < point {
            value = value.checked_mul(10)?.checked_add(digit)?;
        } else if taken == point {
            round_up = digit >= 5;
        }
        taken += 1;
    }
    while taken < point && value != 0 {
        value = value.checked_mul(10)?;
        taken += 1;
    }
    if round_up {
        value = value.checked_add(1)?;
    }
    (value < LIMIT).then_some(if negative { -value } else { value })
}

fn divide_rounded(value: i128, divisor: i128) -> i128 {
    let (quotient, rest) = (value / divisor, value % divisor);
    if rest.unsigned_abs() >= divisor.unsigned_abs().div_ceil(2) {
        quotient + value.signum()
    } else {
        quotient
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts() {
        for (text, units) in [
            ("0", Some(0)),
            ("1", Some(1_000_000_000)),
            ("-0.00001", Some(-10_000)),
            ("12.3456789012", Some(12_345_678_901)),
            ("0.0000000005", Some(1)),
            ("-0.0000000005", Some(-1)),
            ("0.00000000049", Some(0)),
            ("1E+20", Some(100_000_000_000_000_000_000_000_000_000)),
            (
                "99999999999999999999999999999",
                Some(99_999_999_999_999_999_999_999_999_999_000_000_000),
            ),
            ("100000000000000000000000000000", None),
            ("0e99999", Some(0)),
            ("1e-99999", Some(0)),
            ("5e-10", Some(1)),
            ("NaN", None),
            ("1,5", None),
            ("+1", None),
            ("--1", None),
            ("١", None),
        ] {
            assert_eq!(from_text(text), units, "{text:?}");
        }
    }

    #[test]
    fn parts_round_at_the_ninth_place() {
        assert_eq!(from_parts(12_345, 5), Some(123_450_000));
        assert_eq!(from_parts(15, 10), Some(2));
        assert_eq!(from_parts(-14, 10), Some(-1));
        assert_eq!(from_parts(i128::MAX, 0), None);
        assert_eq!(from_parts(7, 60), Some(0));
    }

    proptest! {
        #[test]
        fn text_leads_back(units in -LIMIT + 1..LIMIT) {
            prop_assert_eq!(from_text(&to_text(units)), Some(units));
        }

        #[test]
        fn any_text_is_safe(text in "[-+0-9.eE ]{0,60}|.{0,20}") {
            let _ = from_text(&text);
        }
    }
}
