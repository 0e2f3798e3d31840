//! The two clocks that a reader of calls compares: this machine's, and the server's as its answers
//! state it. Either may be wrong.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

/// Clocks that differ by less agree: answers take time, and `Date` has whole seconds.
pub(super) const TOLERANCE: SignedDuration = SignedDuration::from_mins(1);
/// Beyond this difference, the server's clock says nothing about which days there are.
const FARTHEST: SignedDuration = SignedDuration::from_hours(400 * 24);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// This machine's clock; a test may use another.
#[derive(Clone)]
pub(crate) struct WallClock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl WallClock {
    /// The system's clock.
    pub(crate) fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    /// A clock that `now` reads.
    #[cfg(test)]
    pub(super) fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}

/// What both clocks say at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clocks {
    pub(super) local: Timestamp,
    /// How far the server's clock is ahead; `None` if it has not said.
    pub(super) skew: Option<SignedDuration>,
}

impl Clocks {
    /// How far the server's clock is ahead, if that is more than answers take.
    fn difference(&self) -> SignedDuration {
        self.skew
            .filter(|skew| skew.abs() > TOLERANCE)
            .unwrap_or_default()
    }

    pub(super) fn agree(&self) -> bool {
        self.difference().is_zero()
    }

    /// What has passed by both clocks.
    pub(super) fn earliest(&self) -> Timestamp {
        self.shifted(self.difference().min(SignedDuration::ZERO))
    }

    /// What has passed by either clock, as far as that is plausible.
    pub(super) fn latest(&self) -> Timestamp {
        let difference = self.difference();
        if difference > FARTHEST {
            return self.local;
        }
        self.shifted(difference.max(SignedDuration::ZERO))
    }

    /// The time that records are stamped with: this machine's, unless it is ahead by days.
    pub(super) fn of_records(&self) -> Timestamp {
        if self.difference() < -DAY {
            return self.earliest();
        }
        self.local
    }

    fn shifted(&self, by: SignedDuration) -> Timestamp {
        self.local.checked_add(by).unwrap_or(self.local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks(skew_hours: i64) -> Clocks {
        Clocks {
            local: "2026-08-06T12:00:00Z".parse().unwrap(),
            skew: Some(SignedDuration::from_hours(skew_hours)),
        }
    }

    #[test]
    fn neither_clock_is_trusted_alone() {
        let behind = clocks(-30 * 24);
        assert_eq!(behind.earliest().to_string(), "2026-07-07T12:00:00Z");
        assert_eq!(behind.latest(), behind.local);
        assert_eq!(behind.of_records(), behind.earliest());
        let ahead = clocks(2);
        assert_eq!(ahead.earliest(), ahead.local);
        assert_eq!(ahead.latest().to_string(), "2026-08-06T14:00:00Z");
        assert_eq!(ahead.of_records(), ahead.local);
    }

    #[test]
    fn clocks_agree_within_a_minute_and_absurd_ones_add_no_days() {
        let close = Clocks {
            skew: Some(SignedDuration::from_secs(-59)),
            ..clocks(0)
        };
        assert!(close.agree());
        assert_eq!(close.earliest(), close.local);
        assert!(!clocks(1).agree());
        let absurd = clocks(24 * 10_000);
        assert_eq!(absurd.latest(), absurd.local);
    }
}
