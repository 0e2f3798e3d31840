//! Exact amounts: integers with a decimal scale, which are divided only for display.

use std::fmt;

/// The unit of an amount's integer, as a decimal fraction of the metric's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// 1: counts.
    One,
    /// 10⁻³: durations in milliseconds, shown in seconds.
    Milli,
    /// 10⁻⁹: money.
    Nano,
}

impl Scale {
    /// Digits after the decimal point.
    pub const fn digits(self) -> usize {
        match self {
            Self::One => 0,
            Self::Milli => 3,
            Self::Nano => 9,
        }
    }

    /// Units per 1: 10 to the power of [`digits`](Self::digits).
    pub const fn divisor(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Milli => 1_000,
            Self::Nano => 1_000_000_000,
        }
    }
}

/// An exact decimal number. Its `Display` is the shortest exact decimal text: `12.345`, `-0.5`,
/// `3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amount {
    /// The number in units of the scale.
    pub units: i128,
    /// The size of a unit.
    pub scale: Scale,
}

impl Amount {
    /// The nearest `f64`, which is also what a Prometheus server reads from the text.
    #[expect(
        clippy::cast_precision_loss,
        reason = "checked: both operands are exact, so the quotient is the nearest double"
    )]
    pub fn to_f64(self) -> f64 {
        const EXACT: i128 = 1 << 53;
        if (-EXACT..=EXACT).contains(&self.units) {
            self.units as f64 / f64::from(self.scale.divisor())
        } else {
            // Dividing would round twice; parsing the exact text rounds once.
            self.to_string().parse().unwrap_or(f64::NAN)
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let divisor = u128::from(self.scale.divisor());
        let magnitude = self.units.unsigned_abs();
        let (whole, mut part) = (magnitude / divisor, magnitude % divisor);
        if self.units < 0 {
            out.write_str("-")?;
        }
        write!(out, "{whole}")?;
        if part != 0 {
            let mut width = self.scale.digits();
            while part % 10 == 0 {
                part /= 10;
                width -= 1;
            }
            write!(out, ".{part:0width$}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shortest_exact_text() {
        let text = |units, scale| Amount { units, scale }.to_string();
        assert_eq!(text(12_345, Scale::Milli), "12.345");
        assert_eq!(text(12_300, Scale::Milli), "12.3");
        assert_eq!(text(-500, Scale::Milli), "-0.5");
        assert_eq!(text(5, Scale::Nano), "0.000000005");
        assert_eq!(text(-7, Scale::One), "-7");
        assert_eq!(text(0, Scale::Milli), "0");
        assert_eq!(
            text(i128::MIN, Scale::Milli),
            "-170141183460469231731687303715884105.728"
        );
    }

    proptest! {
        #[test]
        fn the_double_is_the_nearest_to_the_text(units: i128, shift in 0_u32..120) {
            for scale in [Scale::One, Scale::Milli, Scale::Nano] {
                let amount = Amount { units: units >> shift, scale };
                let parsed: f64 = amount.to_string().parse().unwrap();
                prop_assert_eq!(amount.to_f64().to_bits(), (parsed + 0.0).to_bits());
            }
        }
    }
}
