//! The flags `--from` and `--to`.

use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::exit::Failure;

/// A period of time.
#[derive(Debug, Clone, Copy, Args)]
pub struct PeriodArgs {
    /// First day (UTC) or time, such as 2026-01-01 or 2026-01-01T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Timestamp,
    /// End, exclusive
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub to: Timestamp,
}

impl PeriodArgs {
    /// Microseconds since 1970.
    ///
    /// # Errors
    /// If it ends before it begins.
    pub fn micros(self) -> Result<std::ops::Range<i64>, Failure> {
        if self.from >= self.to {
            return Err(Failure::usage("--from must be before --to"));
        }
        Ok(self.from.as_microsecond()..self.to.as_microsecond())
    }
}

/// A time, or the start of a day in UTC.
fn moment(text: &str) -> Result<Timestamp, String> {
    let moment = text.parse::<Timestamp>().ok().or_else(|| {
        let day: Date = text.parse().ok()?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    });
    moment.ok_or_else(|| {
        "write a day, such as 2026-01-31, or a time, such as 2026-01-31T06:00:00Z".to_owned()
    })
}

/// A day, and nothing more.
pub(super) fn day(text: &str) -> Result<Date, String> {
    let day = text.parse::<Date>().ok();
    // `Date` is also read from a time.
    day.filter(|day| day.to_string() == text)
        .ok_or_else(|| "write a day, such as 2026-01-31".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_no_time() {
        assert!(day("2026-08-03").is_ok());
        for text in [
            "2026-08-03T05:00",
            "2026-13-24",
            "2026-08-03T00:00:00Z",
            "today",
        ] {
            let error = day(text).unwrap_err();
            assert_eq!(error, "write a day, such as 2026-01-31", "{text}");
        }
    }

    #[test]
    fn days_and_times_are_read_as_utc() {
        let micros = |text| moment(text).map(Timestamp::as_microsecond);
        assert_eq!(micros("1970-01-02"), Ok(86_400_000_000));
        assert_eq!(micros("1970-01-01T01:00:00+01:00"), Ok(0));
        assert!(micros("yesterday").is_err());
    }
}
