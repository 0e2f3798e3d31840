//! Numbers as text, in the shortest form that gives the same value.

use std::io::Write as _;

use callmeter_meter::{Amount, Scale};

/// Appends a count.
pub(crate) fn integer(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends an exact decimal.
pub(crate) fn amount(out: &mut Vec<u8>, units: i128, scale: Scale) {
    let Ok(small) = i64::try_from(units) else {
        let _ = write!(out, "{}", Amount { units, scale });
        return;
    };
    if small < 0 {
        out.push(b'-');
    }
    let magnitude = small.unsigned_abs();
    let divisor = u64::from(scale.divisor());
    integer(out, magnitude / divisor);
    let mut part = magnitude % divisor;
    if part != 0 {
        out.push(b'.');
        let mut place = divisor / 10;
        while part != 0 {
            let digit = u8::try_from(part / place).unwrap_or(0);
            out.push(b'0' + digit);
            part %= place;
            place = (place / 10).max(1);
        }
    }
}

/// Appends a float in the form that all formats share.
pub(crate) fn float(out: &mut Vec<u8>, value: f64) {
    // Whole numbers below this are exact and are written as integers.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if value.fract() == 0.0 && value.abs() < WHOLE {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        let whole = value as i64;
        if whole == 0 && value.is_sign_negative() {
            out.push(b'-');
        }
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    } else if (1e-5..1e17).contains(&value.abs()) {
        let _ = write!(out, "{value}");
    } else {
        let _ = write!(out, "{value:e}");
    }
}

/// Appends the bound of a bucket in the canonical form of OpenMetrics, with a point or an exponent.
pub(crate) fn canonical_float(out: &mut Vec<u8>, value: f64) {
    let start = out.len();
    float(out, value);
    let written = out.get(start..).unwrap_or_default();
    if value.is_finite() && !written.iter().any(|byte| matches!(byte, b'.' | b'e')) {
        out.extend_from_slice(b".0");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_spelled_as_prometheus_spells_them() {
        let float = |value| text(|out| float(out, value));
        assert_eq!(float(f64::NAN), "NaN");
        assert_eq!(float(f64::INFINITY), "+Inf");
        assert_eq!(float(f64::NEG_INFINITY), "-Inf");
        assert_eq!(float(0.0), "0");
        assert_eq!(float(-0.0), "-0");
        assert_eq!(float(12.5), "12.5");
        assert_eq!(float(1_700_000_000.0), "1700000000");
        assert_eq!(float(1e300), "1e300");
        assert_eq!(float(1.5e-9), "1.5e-9");
        let canonical = |value| text(|out| canonical_float(out, value));
        assert_eq!(canonical(5.0), "5.0");
        assert_eq!(canonical(2.5), "2.5");
        assert_eq!(canonical(1e20), "1e20");
        assert_eq!(canonical(f64::INFINITY), "+Inf");
    }

    proptest! {
        #[test]
        fn floats_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            let read: f64 = text(|out| float(out, value)).parse().unwrap();
            prop_assert!(read.to_bits() == value.to_bits() || (read.is_nan() && value.is_nan()));
        }

        #[test]
        fn amounts_are_spelled_like_their_display(units: i128, shift in 0_u32..128) {
            for scale in [Scale::One, Scale::Milli, Scale::Nano] {
                let amount = Amount { units: units >> shift, scale };
                prop_assert_eq!(text(|out| super::amount(out, amount.units, scale)), amount.to_string());
            }
        }
    }
}
