//! The rate limit: a burst of requests, then one per interval.

use std::time::Instant;

use crate::file::RateLimit;

/// A token bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    limit: RateLimit,
    /// Requests that are allowed now.
    tokens: f64,
    filled: Option<Instant>,
}

impl Bucket {
    pub(crate) fn full(limit: RateLimit) -> Self {
        Self {
            limit,
            tokens: f64::from(limit.burst),
            filled: None,
        }
    }

    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled.unwrap_or(now));
        let refilled = passed.as_secs_f64() / self.limit.interval.as_secs_f64();
        self.tokens = (self.tokens + refilled).min(f64::from(self.limit.burst));
        self.filled = Some(now);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_allows_a_burst_and_then_one_per_interval() {
        let interval = Duration::from_secs(2);
        let mut bucket = Bucket::full(RateLimit { interval, burst: 3 });
        let begin = Instant::now();
        let passed =
            |bucket: &mut Bucket, after: u64| bucket.take(begin + Duration::from_secs(after));
        for _ in 0..3 {
            assert!(passed(&mut bucket, 0));
        }
        assert!(!passed(&mut bucket, 0));
        assert!(!passed(&mut bucket, 1));
        assert!(passed(&mut bucket, 2));
        assert!(!passed(&mut bucket, 3));
        // A long pause fills it, but not above its size.
        for _ in 0..3 {
            assert!(passed(&mut bucket, 100));
        }
        assert!(!passed(&mut bucket, 100));
    }
}
