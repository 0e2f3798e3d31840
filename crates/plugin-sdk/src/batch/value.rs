//! Values with a form of their own: points in time and exact decimals.

use std::fmt::{self, Display};

use super::data_type::TimeUnit;

/// A point in time, UTC, in microseconds since 1970. Printed as RFC 3339: `2026-03-01T08:45:00Z`,
/// with three or six digits of a second when there are any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The point in time this many microseconds after 1970-01-01T00:00:00Z.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    #[inline]
    pub(crate) fn from_unit(count: i64, unit: TimeUnit) -> Self {
        Self(match unit {
            TimeUnit::Second => count.saturating_mul(1_000_000),
            TimeUnit::Millisecond => count.saturating_mul(1_000),
            TimeUnit::Microsecond => count,
            TimeUnit::Nanosecond => count.div_euclid(1_000),
        })
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[inline]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    #[inline]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Year, month and day of the UTC calendar.
    pub const fn date(self) -> (i64, u32, u32) {
        date_of_day(self.seconds().div_euclid(86_400))
    }
}

/// The proleptic Gregorian date of a day counted from 1970-01-01 (Howard Hinnant's
/// `civil_from_days`).
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "day and month are small and positive by construction"
)]
const fn date_of_day(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month as u32, day as u32)
}

impl Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        let second = self.seconds().rem_euclid(86_400);
        let micros = self.0.rem_euclid(1_000_000);
        write!(f, "{year:04}-{month:02}-{day:02}T")?;
        write!(
            f,
            "{:02}:{:02}:{:02}",
            second / 3_600,
            second / 60 % 60,
            second % 60
        )?;
        match micros {
            0 => f.write_str("Z"),
            m if m % 1_000 == 0 => write!(f, ".{:03}Z", m / 1_000),
            m => write!(f, ".{m:06}Z"),
        }
    }
}

/// An exact decimal number: `unscaled / 10^scale`. Printed without trailing zeros: `12.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    unscaled: i128,
    scale: i8,
}

impl Decimal {
    /// The number `unscaled / 10^scale`.
    pub const fn new(unscaled: i128, scale: i8) -> Self {
        Self { unscaled, scale }
    }

    /// The number times `10^scale`.
    pub const fn unscaled(self) -> i128 {
        self.unscaled
    }

    /// Digits after the point.
    pub const fn scale(self) -> i8 {
        self.scale
    }
}

impl Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = self.unscaled.unsigned_abs().to_string();
        let places = usize::from(self.scale.unsigned_abs());
        if self.scale < 0 {
            if self.unscaled != 0 {
                digits.extend(std::iter::repeat_n('0', places));
            }
        } else if places > 0 {
            if digits.len() <= places {
                digits.insert_str(0, &"0".repeat(places + 1 - digits.len()));
            }
            digits.insert(digits.len() - places, '.');
            let trimmed = digits.trim_end_matches('0').trim_end_matches('.').len();
            digits.truncate(trimmed);
        }
        f.pad_integral(self.unscaled >= 0, "", &digits)
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, TimeUnit, Timestamp, date_of_day};

    #[test]
    fn timestamps_print_as_rfc_3339() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00Z"),
            (1_772_354_700_500_000, "2026-03-01T08:45:00.500Z"),
            (1_772_354_700_000_001, "2026-03-01T08:45:00.000001Z"),
            (-62_167_219_200_000_000, "0000-01-01T00:00:00Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(Timestamp::from_micros(micros).to_string(), text);
        }
        // The ends of the range print something and do not overflow.
        for end in [i64::MIN, i64::MAX] {
            assert!(Timestamp::from_micros(end).to_string().ends_with('Z'));
        }
    }

    #[test]
    fn days_follow_each_other() {
        let mut previous = date_of_day(-1);
        for day in 0..(if cfg!(miri) { 1_000 } else { 200_000 }) {
            let today = date_of_day(day);
            let (year, month, date) = previous;
            assert!(
                today == (year, month, date + 1)
                    || today == (year, month + 1, 1)
                    || today == (year + 1, 1, 1) && (month, date) == (12, 31),
                "{previous:?} is followed by {today:?}"
            );
            previous = today;
        }
    }

    #[test]
    fn other_units_are_converted() {
        assert_eq!(Timestamp::from_unit(-1, TimeUnit::Nanosecond).micros(), -1);
        assert_eq!(
            Timestamp::from_unit(2, TimeUnit::Second).micros(),
            2_000_000
        );
        assert_eq!(
            Timestamp::from_unit(i64::MAX, TimeUnit::Second).micros(),
            i64::MAX
        );
    }

    #[test]
    fn decimals_print_exactly() {
        for (unscaled, scale, text) in [
            (0, 9, "0"),
            (12_500_000_000, 9, "12.5"),
            (-1, 9, "-0.000000001"),
            (100, 0, "100"),
            (7, -2, "700"),
            (0, -2, "0"),
            (i128::MIN, 38, "-1.70141183460469231731687303715884105728"),
        ] {
            assert_eq!(Decimal::new(unscaled, scale).to_string(), text);
        }
    }
}
