//! Stops requests to a failing server for a while.

use std::time::{Duration, Instant};

/// How long a circuit stays open at most, unless the configuration's pause is longer.
const LONGEST: Duration = Duration::from_mins(5);

/// Opens after several failures in a row. After the pause, one request is sent. If it succeeds, the
/// circuit closes; if not, the next pause is twice as long.
#[derive(Debug)]
pub(crate) struct Circuit {
    failures_to_open: u32,
    pause: Duration,
    failures: u32,
    open_until: Option<Instant>,
}

impl Circuit {
    pub(crate) fn new(failures_to_open: u32, pause: Duration) -> Self {
        Self {
            failures_to_open,
            pause,
            failures: 0,
            open_until: None,
        }
    }

    /// How much longer requests must wait.
    pub(crate) fn closed_in(&self, now: Instant) -> Option<Duration> {
        let left = self.open_until?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.open_until = None;
    }

    /// Says whether the circuit is open now.
    pub(crate) fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let Some(beyond) = self.failures.checked_sub(self.failures_to_open) else {
            return false;
        };
        let longest = LONGEST.max(self.pause);
        let pause = self.pause.saturating_mul(1 << beyond.min(16)).min(longest);
        self.open_until = now.checked_add(pause);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_and_closes_after_a_success() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let mut circuit = Circuit::new(3, 10 * second);
        assert!(!circuit.failed(start) && !circuit.failed(start));
        assert_eq!(circuit.closed_in(start), None);
        assert!(circuit.failed(start));
        assert_eq!(circuit.closed_in(start), Some(10 * second));
        // The pause is over: one request is sent.
        let later = start + 10 * second;
        assert_eq!(circuit.closed_in(later), None);
        assert!(circuit.failed(later));
        assert_eq!(circuit.closed_in(later), Some(20 * second));
        circuit.succeeded();
        assert_eq!(circuit.closed_in(later), None);
        assert!(!circuit.failed(later));
    }

    #[test]
    fn pauses_are_bounded() {
        let start = Instant::now();
        let mut circuit = Circuit::new(1, Duration::from_secs(1));
        for _ in 0..100 {
            circuit.failed(start);
        }
        assert_eq!(circuit.closed_in(start), Some(LONGEST));
    }
}
