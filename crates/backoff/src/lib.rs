//! How long to wait before the next attempt: doubling, with jitter.

use std::time::Duration;

/// The wait after `failures` failures in a row.
///
/// It starts at `least`, doubles with each further failure, and never exceeds `most`. The result is
/// a random duration between half of that and all of it, so that many clients do not return at once.
///
/// ```
/// use std::time::Duration;
///
/// let (least, most) = (Duration::from_secs(1), Duration::from_mins(1));
/// let wait = callmeter_backoff::wait(3, least, most);
/// assert!(wait >= Duration::from_secs(2) && wait <= Duration::from_secs(4));
/// ```
pub fn wait(failures: u32, least: Duration, most: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let full = least.saturating_mul(1 << doublings).min(most);
    full.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_bound_and_differ() {
        let (least, most) = (Duration::from_millis(100), Duration::from_secs(3));
        for failures in [0, 1, 2, 5, 6, 100, u32::MAX] {
            let full = (least * 2_u32.pow(failures.saturating_sub(1).min(10))).min(most);
            let waited = wait(failures, least, most);
            assert!(
                waited >= full / 2 && waited <= full,
                "{failures}: {waited:?}"
            );
        }
        assert!((0..50).any(|_| wait(9, least, most) != wait(9, least, most)));
        let longest = wait(u32::MAX, Duration::MAX / 2, Duration::MAX / 2);
        assert!(longest >= Duration::MAX / 8);
    }
}
