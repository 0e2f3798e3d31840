//! How long to wait before trying again: longer each time, and never at the same moment as others.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The wait before attempt `failures + 1`: doubles from `least` up to `most`, and of that between a
/// half and the whole, at random.
pub(crate) fn wait(failures: u32, least: Duration, most: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let full = least.saturating_mul(1 << doublings).min(most);
    // A fresh RandomState hashes everything to something else: enough to spread retries.
    let random = RandomState::new().hash_one(0) % 1024;
    full.mul_f64(0.5 + f64::from(u32::try_from(random).unwrap_or(0)) / 2048.0)
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
