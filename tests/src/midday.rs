//! Times that make a test independent of the hour and the day of the week at which it runs.

use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, ToSpan as _};

/// A time zone in which it is about noon, so that a test that counts days sees no midnight.
#[derive(Clone, Debug)]
pub struct Midday {
    /// The zone's name.
    pub zone: String,
    /// The date there.
    pub today: Date,
}

impl Midday {
    /// The zone in which it is about noon now.
    pub fn now() -> Self {
        Self::at(Timestamp::now())
    }

    fn at(now: Timestamp) -> Self {
        let hour = now.to_zoned(jiff::tz::TimeZone::UTC).hour();
        // The sign of these names is the other way round than in ISO 8601.
        let zone = format!("Etc/GMT{:+}", hour - 12);
        let today = now.in_tz(&zone).unwrap().date();
        Self { zone, today }
    }
}

/// The last noon in UTC of a Wednesday before a time. Around it the simulator generates as many
/// calls on whatever day of the week a test runs.
pub fn wednesday_noon_before(time: Timestamp) -> Timestamp {
    noon_before(time, |weekday| weekday == Weekday::Wednesday)
}

/// The last noon in UTC of a working day before a time. Around it are many calls.
pub fn office_noon_before(time: Timestamp) -> Timestamp {
    noon_before(time, |weekday| {
        !matches!(weekday, Weekday::Saturday | Weekday::Sunday)
    })
}

fn noon_before(time: Timestamp, is_wanted: impl Fn(Weekday) -> bool) -> Timestamp {
    // The noon of this time's date is over, or the noon before is.
    let mut date = (time.to_zoned(jiff::tz::TimeZone::UTC) - 12.hours()).date();
    while !is_wanted(date.weekday()) {
        date = date.yesterday().unwrap();
    }
    let noon = date.at(12, 0, 0, 0);
    noon.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_noon_whatever_the_hour() {
        let start: Timestamp = "2028-02-28T00:00:00Z".parse().unwrap();
        for quarters in 0..400 {
            let now = start + (15 * quarters).minutes();
            let midday = Midday::at(now);
            let there = now.in_tz(&midday.zone).unwrap();
            assert_eq!((there.hour(), there.date()), (12, midday.today), "{now}");
            let wednesday = wednesday_noon_before(now);
            let zoned = wednesday.in_tz("UTC").unwrap();
            let is_noon = (zoned.weekday(), zoned.hour(), zoned.minute());
            assert_eq!(is_noon, (Weekday::Wednesday, 12, 0));
            let hours = now.duration_since(wednesday).as_hours();
            assert!((0..7 * 24).contains(&hours), "{now}: {hours}");
            let hours = now.duration_since(office_noon_before(now)).as_hours();
            assert!((0..3 * 24).contains(&hours), "{now}: {hours}");
        }
    }
}
