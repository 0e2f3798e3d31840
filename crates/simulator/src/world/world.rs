//! What there is behind the two servers: people, calls and the words in them.
//!
//! [`people`] and [`calls`] are computed from the seed, [`text`] from the seed
//! and a call's number when somebody reads it, so that a call takes 40 bytes
//! here and 700 on the wire. [`view`] says what of it a reader sees at a time.

mod calls;
mod names;
mod people;
mod text;
mod view;

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub(crate) use calls::{Call, Direction, LONGEST_CALL_MS};
pub(crate) use people::{Allowance, People};
pub(crate) use text::{CallId, Words};
pub(crate) use view::{Facts, RecordFaults, View};

use crate::error::SimulatorError;
use crate::options::Options;
use calls::Plan;

/// Everything that HostedSuite knows. Calls are in the order of their start.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) zone: TimeZone,
    pub(crate) people: People,
    plan: Plan,
    calls: Vec<Call>,
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
        self.plan
            .extend(now, self.seed, &self.zone, &self.people, &mut self.calls);
    }

    pub(crate) fn calls(&self) -> &[Call] {
        &self.calls
    }
}
