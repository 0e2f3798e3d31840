//! How long to wait before trying again: longer after each failure, and with jitter.

use std::time::Duration;

/// The wait after so many failures: doubles from `least` up to `most`, then takes between half and
/// all of that, at random.
pub(crate) fn wait(failures: u32, least: Duration, most: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let full = least.saturating_mul(1 << doublings).min(most);
    full.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::wait;

    #[test]
    fn waits_grow_to_their_bound_and_differ() {
        let (least, most) = (Duration::from_millis(100), Duration::from_secs(3));
        for failures in 0..100_u32 {
            let full = (least * 2_u32.pow(failures.saturating_sub(1).min(10))).min(most);
            let waited = wait(failures, least, most);
            assert!(
                waited >= full / 2 && waited <= full,
                "{failures}: {waited:?}"
            );
        }
        assert!((0..50).any(|_| wait(9, least, most) != wait(9, least, most)));
    }
}
