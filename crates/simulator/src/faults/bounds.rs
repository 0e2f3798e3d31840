//! The bounds of the faults' members.

/// The bounds of a fault's members.
pub(super) trait Bounds {
    /// Returns what a member must be, if it is out of bounds.
    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

impl Bounds for bool {}

impl Bounds for u32 {
    fn check(&self) -> Result<(), &'static str> {
        ensure(*self > 0, "must be at least 1")
    }
}

impl Bounds for i64 {
    fn check(&self) -> Result<(), &'static str> {
        let must = "must be at most 31536000 seconds, which is 365 days, in either direction";
        ensure(self.unsigned_abs() <= 365 * 86_400, must)
    }
}

/// The name of a time zone.
impl Bounds for String {
    fn check(&self) -> Result<(), &'static str> {
        let must = "must be an IANA time zone, such as America/New_York";
        ensure(jiff::tz::TimeZone::get(self).is_ok(), must)
    }
}

impl<T: Bounds> Bounds for Option<T> {
    fn check(&self) -> Result<(), &'static str> {
        self.as_ref().map_or(Ok(()), T::check)
    }
}

pub(super) fn ensure(holds: bool, must: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(must) }
}

pub(super) fn check_rate(rate: f64) -> Result<(), &'static str> {
    ensure((0.0..=1.0).contains(&rate), "rate must be from 0 to 1")
}

pub(super) fn check_seconds(seconds: u32) -> Result<(), &'static str> {
    let must = "seconds must be from 1 to 2592000, which is 30 days";
    ensure((1..=30 * 86_400).contains(&seconds), must)
}
