//! How long to wait after failures.

use std::time::Duration;

/// The wait after so many consecutive failures: `least`, doubled with each further failure up to
/// `most`, plus up to a fifth at random, so that what failed together does not come back together.
pub(crate) fn wait(failures: u32, least: Duration, most: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(20);
    let wait = least.saturating_mul(1 << doublings).min(most);
    wait + wait.mul_f64(fastrand::f64() / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let second = Duration::from_secs(1);
        for (failures, least) in [(0, 1), (1, 1), (2, 2), (3, 4), (5, 10), (u32::MAX, 10)] {
            let waited = wait(failures, second, 10 * second);
            let least = Duration::from_secs(least);
            assert!((least..=least.mul_f64(1.2)).contains(&waited), "{failures}");
        }
    }
}
