//! The simulated clock, which has its own speed and can be frozen and set.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use crate::error::SimulatorError;

/// The largest step of the clock: all calls in between are computed at once.
const FARTHEST_STEP_MS: i64 = 400 * 86_400_000;

/// The state of the simulated clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClockReading {
    /// The simulated time.
    pub now: Timestamp,
    /// Whether the clock is frozen.
    pub frozen: bool,
    /// Simulated seconds per second while it is not frozen.
    pub speed: f64,
}

#[derive(Debug)]
pub(crate) struct Clock {
    ahead: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The simulated time at `since`, in milliseconds since 1970.
    base: i64,
    since: Instant,
    speed: f64,
    frozen: bool,
}

impl Clock {
    pub(crate) fn new(start: Timestamp, speed: f64, ahead: bool) -> Self {
        let state = State {
            base: start.as_millisecond(),
            since: Instant::now(),
            speed,
            frozen: false,
        };
        Self {
            ahead,
            state: Mutex::new(state),
        }
    }

    /// The simulated time in milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.now_of(&self.lock())
    }

    pub(crate) fn read(&self) -> ClockReading {
        let state = self.lock();
        ClockReading {
            now: Timestamp::from_millisecond(self.now_of(&state)).unwrap_or_default(),
            frozen: state.frozen,
            speed: state.speed,
        }
    }

    pub(crate) fn freeze(&self, frozen: bool) {
        let mut state = self.lock();
        let now = self.now_of(&state);
        state.rebase(now);
        state.frozen = frozen;
    }

    /// Sets the time. It never goes back, because calls that have appeared must not disappear.
    pub(crate) fn set(&self, to: i64) -> Result<(), SimulatorError> {
        let mut state = self.lock();
        let now = self.now_of(&state);
        let refused = |why| SimulatorError::Clock {
            asked: Timestamp::from_millisecond(to)
                .map_or_else(|_| format!("{to} ms"), |at| at.to_string()),
            why,
        };
        if to < now {
            return Err(refused("the clock is already past it and never goes back"));
        }
        if to - now > FARTHEST_STEP_MS {
            return Err(refused("that is more than 400 days ahead"));
        }
        state.rebase(to);
        Ok(())
    }

    pub(crate) fn set_speed(&self, speed: f64) -> Result<(), SimulatorError> {
        check_speed(speed)?;
        let mut state = self.lock();
        let now = self.now_of(&state);
        state.rebase(now);
        state.speed = speed;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a simulator does not run for the 285 years that fit"
    )]
    fn now_of(&self, state: &State) -> i64 {
        if state.frozen {
            return state.base;
        }
        let elapsed = state.since.elapsed().as_millis() as f64;
        let simulated = state.base.saturating_add((elapsed * state.speed) as i64);
        if self.ahead {
            simulated
        } else {
            simulated.min(Timestamp::now().as_millisecond().max(state.base))
        }
    }
}

impl State {
    fn rebase(&mut self, now: i64) {
        self.base = now;
        self.since = Instant::now();
    }
}

/// Refuses a speed that the clock cannot run at.
pub(crate) fn check_speed(speed: f64) -> Result<(), SimulatorError> {
    if speed > 0.0 && speed <= 1_000_000.0 {
        Ok(())
    } else {
        Err(SimulatorError::Option {
            option: "--speed",
            value: speed.to_string(),
            must: "above 0 and at most 1000000",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a timestamp")
    }

    #[test]
    fn a_frozen_clock_does_not_run_and_goes_forward_only() {
        let clock = Clock::new(at("2026-03-02T12:00:00Z"), 1_000.0, true);
        clock.freeze(true);
        let frozen = clock.read();
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert_eq!(clock.read(), frozen);

        let later = frozen.now.as_millisecond() + 60_000;
        clock.set(later).expect("forward");
        assert_eq!(clock.now(), later);
        assert!(clock.set(later - 1).is_err(), "went back");
        assert!(clock.set(later + FARTHEST_STEP_MS + 1).is_err(), "too far");
    }

    #[test]
    fn it_runs_at_its_speed_but_not_past_the_present() {
        let behind = Clock::new(at("2026-03-02T12:00:00Z"), 1_000_000.0, true);
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(behind.now() >= at("2026-03-02T13:20:00Z").as_millisecond());

        let now = Timestamp::now().as_millisecond();
        let kept = Clock::new(Timestamp::now(), 1_000_000.0, false);
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(kept.now() <= now + 60_000, "overtook the present");
    }
}
