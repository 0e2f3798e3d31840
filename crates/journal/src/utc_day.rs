//! UTC days, and the microseconds in them.

/// A second in microseconds.
pub(crate) const SECOND: i64 = 1_000_000;
/// A day in microseconds.
pub(crate) const DAY: i64 = 86_400 * SECOND;

/// The UTC day of a time in microseconds, counted from 1970-01-01. Times more than 89 years away
/// from it share the first or the last day.
pub(crate) fn day_of(micros: i64) -> i16 {
    let day = micros.div_euclid(DAY);
    i16::try_from(day).unwrap_or(if day < 0 { i16::MIN } else { i16::MAX })
}
