//! The world: everything that HostedSuite knows.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::calls::{Plan, SimulatedCall};
use super::people::People;
use crate::error::SimulatorError;
use crate::options::Options;
use crate::random::{Purpose, below, draw};

/// Everything that HostedSuite knows. Calls are in the order of their start.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) zone: TimeZone,
    pub(crate) people: People,
    /// Whether starts have fractions of a second.
    pub(crate) fractions: bool,
    plan: Plan,
    calls: Vec<SimulatedCall>,
}

impl World {
    pub(crate) fn new(options: &Options, start: Timestamp) -> Result<Self, SimulatorError> {
        let zone = TimeZone::get(&options.time_zone).map_err(|_| SimulatorError::Option {
            option: "--time-zone",
            value: options.time_zone.clone(),
            must: "an IANA time zone, such as America/New_York",
        })?;
        let people = People::new(options);
        let plan = Plan::new(options, start, &zone);
        let mut world = Self {
            seed: options.seed,
            zone,
            people,
            fractions: options.fractions,
            plan,
            calls: Vec::new(),
        };
        world.extend(start.as_millisecond());
        Ok(world)
    }

    /// Whether calls may have started by `now` that are not computed yet.
    pub(crate) fn is_behind(&self, now: i64) -> bool {
        self.plan.is_behind(now)
    }

    /// Computes the calls that start up to `now`, and a little beyond.
    pub(crate) fn extend(&mut self, now: i64) {
        let first = self.calls.len();
        self.plan
            .extend(now, self.seed, &self.zone, &self.people, &mut self.calls);
        if self.fractions {
            add_fractions(self.seed, first, &mut self.calls);
        }
    }

    pub(crate) fn calls(&self) -> &[SimulatedCall] {
        &self.calls
    }
}

/// Moves the calls from `first` on by a part of a second, and restores their order.
fn add_fractions(seed: u64, first: usize, calls: &mut [SimulatedCall]) {
    let new = calls.get_mut(first..).unwrap_or_default();
    for (index, call) in (first as u64..).zip(&mut *new) {
        call.start += below(draw(seed, Purpose::Fraction, index), 1_000).cast_signed();
    }
    new.sort_by_key(|call| call.start);
}
