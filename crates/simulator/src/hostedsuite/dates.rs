//! Dates as HostedSuite's version 2 reads and writes them: text without a zone.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

use crate::faults::TimeStyle;

/// How a date at one end of a range is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// Without a time of day, it is the first millisecond of the day.
    Start,
    /// Without a time of day, it is the last millisecond of the day.
    End,
    /// Like `End`, but a date with a time is the millisecond before it.
    Before,
}

/// Reads a date in one of the known forms, as milliseconds since 1970. `None` if it has none of
/// them; the caller then ignores the filter, as the real server does.
pub(super) fn read(text: &str, zone: &TimeZone, edge: Edge) -> Option<i64> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix("/Date(") {
        let digits = inner.split([')', '+']).next()?;
        return digits
            .parse()
            .ok()
            .map(|at: i64| at.saturating_sub(i64::from(edge == Edge::Before)));
    }
    let excluded = i64::from(edge == Edge::Before);
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_millisecond() - excluded);
    }
    let (at, whole_day) = match read_local(text) {
        Some(found) => found,
        None => read_american(text)?,
    };
    let ms = |at: DateTime| Some(at.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond());
    match (whole_day, edge) {
        (true, Edge::End | Edge::Before) => {
            ms(at
                .date()
                .to_datetime(Time::constant(23, 59, 59, 999_000_000)))
        }
        _ => Some(ms(at)? - excluded),
    }
}

/// `2026-08-06`, with `T` or a blank `08:45`, `08:45:00` and a fraction.
fn read_local(text: &str) -> Option<(DateTime, bool)> {
    if let Some((date, time)) = text.split_once([' ', 'T']) {
        let date: Date = date.parse().ok()?;
        return Some((date.to_datetime(time.trim().parse().ok()?), false));
    }
    let date: Date = text.parse().ok()?;
    Some((date.at(0, 0, 0, 0), true))
}

/// `8/6/2026` and `8/6/2026 8:45`, with or without seconds and AM or PM.
fn read_american(text: &str) -> Option<(DateTime, bool)> {
    const FORMS: [&str; 4] = [
        "%m/%d/%Y %I:%M:%S %p",
        "%m/%d/%Y %I:%M %p",
        "%m/%d/%Y %H:%M:%S",
        "%m/%d/%Y %H:%M",
    ];
    if let Some(at) = (FORMS.iter()).find_map(|form| DateTime::strptime(form, text).ok()) {
        return Some((at, false));
    }
    let date = Date::strptime("%m/%d/%Y", text).ok()?;
    Some((date.at(0, 0, 0, 0), true))
}

/// How times are written.
#[derive(Clone, Copy)]
pub(super) struct Writing<'a> {
    pub(super) zone: &'a TimeZone,
    pub(super) style: Option<TimeStyle>,
    pub(super) fractions: bool,
    /// Instead of each time, .NET's smallest one.
    pub(super) min_value: bool,
}

impl<'a> Writing<'a> {
    pub(super) fn at(self, at: i64) -> Local<'a> {
        Local { at, writing: self }
    }
}

/// Writes milliseconds since 1970, by default as `2026-08-06 08:45:00` in a zone.
pub(super) struct Local<'a> {
    at: i64,
    writing: Writing<'a>,
}

impl fmt::Display for Local<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Writing {
            zone,
            style,
            fractions,
            min_value,
        } = self.writing;
        if min_value {
            return f.write_str("0001-01-01T00:00:00");
        }
        let at = Timestamp::from_millisecond(self.at).unwrap_or_default();
        let (local, offset) = match style {
            Some(TimeStyle::Utc) => (TimeZone::UTC.to_datetime(at), Offset::UTC),
            _ => (zone.to_datetime(at), zone.to_offset(at)),
        };
        let blank = if style.is_some() { 'T' } else { ' ' };
        write!(
            f,
            "{:04}-{:02}-{:02}{blank}{:02}:{:02}:{:02}",
            local.year(),
            local.month(),
            local.day(),
            local.hour(),
            local.minute(),
            local.second()
        )?;
        if fractions {
            write!(f, ".{:03}", local.millisecond())?;
        }
        match style {
            None => Ok(()),
            Some(TimeStyle::Utc) => f.write_str("Z"),
            Some(TimeStyle::Offset) => {
                let minutes = offset.seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
                write!(f, "{sign}{hours:02}:{minutes:02}")
            }
        }
    }
}

impl serde::Serialize for Local<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> TimeZone {
        TimeZone::get("America/New_York").expect("a zone")
    }

    fn read_as(text: &str, edge: Edge) -> Option<String> {
        let at = read(text, &zone(), edge)?;
        Some(
            Timestamp::from_millisecond(at)
                .expect("in range")
                .to_string(),
        )
    }

    #[test]
    fn every_form_that_occurs_is_read_in_the_servers_zone() {
        for text in [
            "2026-08-06 08:45:00",
            "2026-08-06T08:45",
            "2026-08-06T12:45:00Z",
            "2026-08-06T14:45:00+02:00",
            "/Date(1786020300000)/",
            "8/6/2026 8:45 AM",
            "8/6/2026 08:45",
        ] {
            let read = read_as(text, Edge::End);
            assert_eq!(read.as_deref(), Some("2026-08-06T12:45:00Z"), "{text}");
        }
    }

    #[test]
    fn a_day_is_read_as_a_whole() {
        for text in ["2026-08-06", "8/6/2026"] {
            let edges = [Edge::Start, Edge::End, Edge::Before].map(|edge| read_as(text, edge));
            let end = "2026-08-07T03:59:59.999Z";
            let expected = ["2026-08-06T04:00:00Z", end, end];
            assert_eq!(edges, expected.map(|at| Some(at.to_owned())), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in ["", "yesterday", "2026-13-01", "32.12.2026", "String"] {
            assert_eq!(read_as(text, Edge::Start), None, "{text}");
        }
    }

    #[test]
    fn a_written_date_reads_back() {
        let zone = zone();
        let at = 1_786_020_300_000;
        for (style, fractions, expected) in [
            (None, false, "2026-08-06 08:45:00"),
            (None, true, "2026-08-06 08:45:00.000"),
            (Some(TimeStyle::Offset), false, "2026-08-06T08:45:00-04:00"),
            (Some(TimeStyle::Utc), true, "2026-08-06T12:45:00.000Z"),
        ] {
            let writing = Writing {
                zone: &zone,
                style,
                fractions,
                min_value: false,
            };
            let text = writing.at(at).to_string();
            assert_eq!(text, expected);
            assert_eq!(read(&text, &zone, Edge::Start), Some(at));
        }
    }
}
