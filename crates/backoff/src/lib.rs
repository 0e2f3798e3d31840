#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use std::time::Duration;

/// The wait after `failures` failures in a row.
///
/// It starts at `least` and doubles with each further failure, up to `most`. Up to a fifth is added
/// at random, so that what failed together does not return together.
pub fn wait(failures: u32, least: Duration, most: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let full = least.saturating_mul(1 << doublings).min(most);
    full.saturating_add(full.div_f64(5.0).mul_f64(fastrand::f64()))
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
                waited >= full && waited <= full + full / 5,
                "{failures}: {waited:?}"
            );
        }
        assert!((0..50).any(|_| wait(9, least, most) != wait(9, least, most)));
        let longest = wait(u32::MAX, Duration::MAX / 2, Duration::MAX / 2);
        assert!(longest >= Duration::MAX / 2);
    }
}
