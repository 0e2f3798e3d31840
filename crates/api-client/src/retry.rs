//! When a read is sent again, and how long to wait before.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How often and how patiently a read is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Sends in all, the first included; 1 = no retries.
    pub attempts: u32,
    /// The wait before the second send; it doubles from there on.
    pub first_wait: Duration,
    /// No wait is longer. A `Retry-After` beyond it ends the retries: the caller decides when to come back.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(20),
        }
    }
}

impl RetryPolicy {
    /// No retries at all.
    pub fn never() -> Self {
        Self {
            attempts: 1,
            ..Self::default()
        }
    }

    /// Sends in all, the first included.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The first and the longest wait.
    #[must_use]
    pub fn waits(mut self, first: Duration, longest: Duration) -> Self {
        self.first_wait = first;
        self.longest_wait = longest;
        self
    }

    /// The wait after the `sent`-th send, or `None` when it was the last one. Half of a back-off is chance, so that many
    /// clients do not come back as one.
    pub(crate) fn wait(&self, sent: u32, asked: Option<Duration>) -> Option<Duration> {
        if sent >= self.attempts {
            return None;
        }
        if let Some(asked) = asked {
            return (asked <= self.longest_wait).then_some(asked);
        }
        let doubled = self
            .first_wait
            .saturating_mul(2_u32.saturating_pow(sent.saturating_sub(1)))
            .min(self.longest_wait);
        Some(doubled / 2 + doubled.mul_f64(chance()) / 2)
    }
}

/// A number in 0..1. A hash of nothing under a random key is chance enough for jitter.
fn chance() -> f64 {
    let [a, b, ..] = RandomState::new().hash_one(()).to_ne_bytes();
    f64::from(u16::from_ne_bytes([a, b])) / f64::from(u16::MAX)
}

/// What to do with an answer that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Hand it to the caller.
    Final,
    /// Send the request again if attempts remain; hand the answer to the caller otherwise.
    Retry {
        /// How long the server asked to wait.
        after: Option<Duration>,
    },
}

impl Verdict {
    /// The verdict by status alone: 408, 429, 500, 502, 503 and 504 are worth another try.
    pub fn by_status(status: StatusCode, headers: &HeaderMap) -> Self {
        match status.as_u16() {
            408 | 429 | 500 | 502 | 503 | 504 => Self::Retry {
                after: retry_after(headers),
            },
            _ => Self::Final,
        }
    }
}

/// The `Retry-After` header: seconds, or an HTTP date.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}
