//! The calls that a server lists, and how they change.

use fastrand::Rng;

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// A call as the server lists it from some time on. Times are UTC microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) since: i64,
    pub(super) start: i64,
    /// In seconds; `None` while the call goes on.
    pub(super) duration: Option<i64>,
}

/// A call with its versions, in order.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) number: u64,
    versions: Vec<Version>,
}

impl History {
    /// The call as the server lists it at a time; `None` before it appears.
    pub(super) fn at(&self, time: i64) -> Option<Version> {
        let mut visible = self.versions.iter().filter(|version| version.since <= time);
        visible.next_back().copied()
    }

    /// Whether it is listed as it is now, from `from` on.
    pub(super) fn is_steady(&self, from: i64, to: i64) -> bool {
        self.at(from) == self.at(to)
    }

    fn draw(rng: &mut Rng, number: u64, from: i64, to: i64) -> Self {
        let start = rng.i64(from..to) / SECOND * SECOND;
        let duration = rng.i64(0..1_800);
        let end = start + duration * SECOND;
        let mut versions = Vec::new();
        match rng.u8(0..10) {
            0 | 1 => versions.push(Version {
                since: start,
                start,
                duration: None,
            }),
            _ => {}
        }
        let late = match rng.u8(0..10) {
            0 if versions.is_empty() => rng.i64(0..20 * HOUR),
            _ => 0,
        };
        let mut version = Version {
            since: end + late,
            start,
            duration: Some(duration),
        };
        versions.push(version);
        if rng.u8(0..5) == 0 {
            version.since += rng.i64(0..10 * HOUR);
            if rng.bool() {
                version.duration = Some(duration + 7);
            } else {
                let moved = start + rng.i64(-20 * HOUR..20 * HOUR) / SECOND * SECOND;
                // A server does not list calls of the future.
                if moved + duration * SECOND <= version.since {
                    version.start = moved;
                }
            }
            versions.push(version);
        }
        Self { number, versions }
    }
}

/// Histories of some calls that start between two times; at times many at once.
pub(super) fn draw(rng: &mut Rng, from: i64, to: i64) -> Vec<History> {
    let calls = rng.u64(0..60);
    let burst = rng.i64(from..to - HOUR);
    (0..calls)
        .map(|number| {
            if rng.u8(0..4) == 0 {
                History::draw(rng, number, burst, burst + MINUTE)
            } else {
                History::draw(rng, number, from, to)
            }
        })
        .collect()
}
