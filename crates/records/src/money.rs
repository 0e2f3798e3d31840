//! Money and balances: exact decimals with nine places, stored as `Decimal128` of [`PRECISION`] and
//! [`SCALE`].

/// Digits of a decimal column.
pub const PRECISION: u8 = 38;
/// Decimal places of a decimal column; a value is a whole number of units of 10⁻⁹.
pub const SCALE: i8 = 9;

/// The largest value: 38 digits.
const LIMIT: i128 = 10i128.pow(38);

/// Converts `mantissa` · 10^−`places` to units of 10⁻⁹, rounded to the nearest, halves away from
/// zero. `None` if the result has more than 38 digits.
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

/// The shortest decimal text of units of 10⁻⁹: `12.5`, `-0.00001`, `3`.
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
    use super::*;

    #[test]
    fn texts() {
        for (units, text) in [
            (0, "0"),
            (1_000_000_000, "1"),
            (-10_000, "-0.00001"),
            (12_345_678_901, "12.345678901"),
            (1, "0.000000001"),
            (
                100_000_000_000_000_000_000_000_000_000,
                "100000000000000000000",
            ),
        ] {
            assert_eq!(to_text(units), text);
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
}
