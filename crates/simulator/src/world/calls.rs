//! The calls: when they start and how long their parts take.
//!
//! Each hour is computed from its own seed, so that the world is the same however the clock moves.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::LogNormal;

use super::people::People;
use crate::options::Options;
use crate::random::{Purpose, draw, generator, unit};

const HOUR_MS: i64 = 3_600_000;
const HOURS_A_DAY: i64 = 24;

const LONGEST_RING_MS: u32 = 120_000;
const LONGEST_HOLD_MS: u32 = 900_000;
const LONGEST_TALK_MS: u32 = 3_600_000;
const LONGEST_TRANSFER_MS: u32 = 900_000;
const LONGEST_WORK_MS: u32 = 900_000;

/// The longest time from a call's start to its end.
pub(crate) const LONGEST_CALL_MS: i64 =
    (LONGEST_RING_MS + LONGEST_HOLD_MS + LONGEST_TALK_MS + LONGEST_TRANSFER_MS) as i64;

/// Share of a day's calls in each hour: a morning and an afternoon peak.
const HOURS: [f64; 24] = [
    0.004, 0.003, 0.003, 0.003, 0.004, 0.007, 0.015, 0.035, 0.075, 0.105, 0.110, 0.095, 0.070,
    0.085, 0.100, 0.090, 0.075, 0.050, 0.028, 0.016, 0.010, 0.007, 0.006, 0.004,
];
/// Monday to Sunday, relative to a day of average load.
const WEEKDAYS: [f64; 7] = [1.25, 1.10, 1.05, 1.05, 0.95, 0.35, 0.25];

/// A call before any edit. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SimulatedCall {
    /// Since 1970; whole seconds, unless the world has fractions.
    pub(crate) start: i64,
    pub(crate) client: u32,
    pub(crate) ring: u32,
    pub(crate) hold: u32,
    /// 0 if and only if nobody answered.
    pub(crate) talk: u32,
    pub(crate) transfer: u32,
    /// After the end of the call, so not part of its duration.
    pub(crate) work: u32,
    pub(crate) receptionist: u16,
    pub(crate) hold_count: u8,
    pub(crate) direction: Direction,
    pub(crate) flagged: bool,
}

/// The type of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Direction {
    Incoming,
    Outgoing,
    Transfer,
}

impl Direction {
    /// As the API writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Incoming => "Incoming",
            Self::Outgoing => "Outgoing",
            Self::Transfer => "Transfer",
        }
    }

    /// As the ledger writes it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Outgoing => "outgoing",
            Self::Transfer => "transfer",
        }
    }
}

impl SimulatedCall {
    /// From the first ring to the end.
    pub(crate) fn duration(&self) -> u32 {
        self.ring + self.hold + self.talk + self.transfer
    }

    /// Since 1970.
    pub(crate) fn end(&self) -> i64 {
        self.start + i64::from(self.duration())
    }
}

/// How many calls each hour has.
#[derive(Debug)]
pub(super) struct Plan {
    /// The next hour since 1970 to compute.
    next: i64,
    /// The first hour after `start` that is computed by `per_day`.
    live: i64,
    /// The exact number of calls before `live`, and its hours.
    exact: Option<Exact>,
    per_day: f64,
}

#[derive(Debug)]
struct Exact {
    calls: f64,
    from: i64,
    until: i64,
    /// Sum of the weights from `from` to `until`, and so far.
    weight: f64,
    so_far: f64,
}

impl Plan {
    pub(super) fn new(options: &Options, start: Timestamp, zone: &TimeZone) -> Self {
        let start = start.as_millisecond();
        let first = start.div_euclid(HOUR_MS) - i64::from(options.days) * HOURS_A_DAY;
        let exact = options.calls.map(|calls| {
            // Two hours before the start, so that the last one has ended.
            let until = (start - LONGEST_CALL_MS).div_euclid(HOUR_MS);
            Exact {
                calls: as_f64(calls),
                from: first,
                until,
                weight: (first..until).map(|hour| weight(hour, zone)).sum(),
                so_far: 0.0,
            }
        });
        Self {
            next: first,
            live: if exact.is_some() {
                start.div_euclid(HOUR_MS) + 1
            } else {
                first
            },
            exact,
            per_day: as_f64(options.calls_per_day()),
        }
    }

    pub(super) fn is_behind(&self, now: i64) -> bool {
        self.next <= now.div_euclid(HOUR_MS)
    }

    pub(super) fn extend(
        &mut self,
        now: i64,
        seed: u64,
        zone: &TimeZone,
        people: &People,
        calls: &mut Vec<SimulatedCall>,
    ) {
        while self.is_behind(now) {
            let count = self.count(self.next, seed, zone);
            compute_hour(self.next, count, seed, people, calls);
            self.next += 1;
        }
    }

    fn count(&mut self, hour: i64, seed: u64, zone: &TimeZone) -> u64 {
        let weight = weight(hour, zone);
        let mut count = 0;
        if let Some(exact) = &mut self.exact
            && (exact.from..exact.until).contains(&hour)
        {
            // Rounding the running sum, not each hour, ends at the exact number.
            let before = (exact.calls * exact.so_far / exact.weight).round();
            exact.so_far += weight;
            let share = if hour + 1 == exact.until {
                1.0
            } else {
                exact.so_far / exact.weight
            };
            count += as_count((exact.calls * share).round() - before);
        }
        if hour >= self.live {
            let expected = self.per_day * weight;
            let chance = unit(draw(seed, Purpose::Slot, hour.cast_unsigned()));
            count += as_count((expected + chance).floor());
        }
        count
    }
}

/// The share of an average day's calls that an hour has.
fn weight(hour: i64, zone: &TimeZone) -> f64 {
    let local = Timestamp::from_millisecond(hour.saturating_mul(HOUR_MS))
        .unwrap_or_default()
        .to_zoned(zone.clone());
    let of_day = usize::try_from(local.hour()).unwrap_or(0);
    let of_week = usize::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0);
    HOURS.get(of_day).unwrap_or(&0.0) * WEEKDAYS.get(of_week).unwrap_or(&0.0)
}

fn compute_hour(hour: i64, count: u64, seed: u64, people: &People, calls: &mut Vec<SimulatedCall>) {
    let mut rng = generator(seed, Purpose::Slot, hour.cast_unsigned());
    let from = calls.len();
    let shapes = Shapes::new();
    for _ in 0..count {
        let start = hour * HOUR_MS + 1_000 * rng.random_range(0..3_600_i64);
        calls.push(compute(start, &mut rng, people, &shapes));
    }
    if let Some(new) = calls.get_mut(from..) {
        new.sort_by_key(|call| call.start);
    }
}

/// Medians and spreads, in seconds.
struct Shapes {
    ring: Option<LogNormal<f64>>,
    hold: Option<LogNormal<f64>>,
    talk: Option<LogNormal<f64>>,
    transfer: Option<LogNormal<f64>>,
    work: Option<LogNormal<f64>>,
}

impl Shapes {
    fn new() -> Self {
        let shape = |median: f64, spread| LogNormal::new(median.ln(), spread).ok();
        Self {
            ring: shape(8.0, 0.6),
            hold: shape(25.0, 0.9),
            talk: shape(95.0, 0.9),
            transfer: shape(18.0, 0.7),
            work: shape(20.0, 0.8),
        }
    }
}

fn compute(start: i64, rng: &mut ChaCha8Rng, people: &People, shapes: &Shapes) -> SimulatedCall {
    let client = people.client_at(rng.random());
    let direction = match rng.random_range(0..100_u32) {
        0..=77 => Direction::Incoming,
        78..=96 => Direction::Outgoing,
        _ => Direction::Transfer,
    };
    let mut call = SimulatedCall {
        start,
        client,
        ring: length(rng, shapes.ring.as_ref(), LONGEST_RING_MS),
        hold: 0,
        talk: 0,
        transfer: 0,
        work: 0,
        receptionist: rng.random_range(0..people.receptionists.max(1)),
        hold_count: 0,
        direction,
        flagged: rng.random_range(0..40_u32) == 0,
    };
    let unanswered = match direction {
        Direction::Incoming => rng.random_range(0..100_u32) < 8,
        Direction::Outgoing => rng.random_range(0..100_u32) < 18,
        Direction::Transfer => false,
    };
    if unanswered {
        return call;
    }
    call.talk = length(rng, shapes.talk.as_ref(), LONGEST_TALK_MS);
    call.work = length(rng, shapes.work.as_ref(), LONGEST_WORK_MS);
    if rng.random_range(0..100_u32) < 22 {
        call.hold = length(rng, shapes.hold.as_ref(), LONGEST_HOLD_MS);
        call.hold_count = rng.random_range(1..=3);
    }
    if direction == Direction::Transfer || rng.random_range(0..100_u32) < 12 {
        call.transfer = length(rng, shapes.transfer.as_ref(), LONGEST_TRANSFER_MS);
    }
    call
}

/// A length of 1 ms to `longest`; half of them are multiples of 250 ms, as in some telephony
/// systems.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded on both sides"
)]
fn length(rng: &mut ChaCha8Rng, shape: Option<&LogNormal<f64>>, longest: u32) -> u32 {
    let seconds = shape.map_or(1.0, |shape| rng.sample(shape));
    let ms = (seconds * 1_000.0).clamp(1.0, f64::from(longest)) as u32;
    if rng.random() {
        (ms / 250 * 250).max(250)
    } else {
        ms
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of calls are far below 2^53"
)]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole and not negative"
)]
fn as_count(value: f64) -> u64 {
    value.max(0.0) as u64
}
