//! When a read is sent again, and how long to wait before.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::error::{Error, Reason};

/// How often a read is repeated, and how long to wait between sends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Sends in all, the first included; 1 = no retries.
    pub attempts: u32,
    /// The wait before the second send; it doubles with each further send.
    pub first_wait: Duration,
    /// The longest wait. A longer `Retry-After` ends the retries: the caller decides when to try
    /// again.
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

    /// The wait after the `sent`-th send failed, or `None` when it was the last one.
    pub(crate) fn wait_after(&self, sent: u32, error: &Error) -> Option<Duration> {
        if sent >= self.attempts || !is_worth_another_send(error) {
            return None;
        }
        if let Some(asked) = error.retry_after() {
            return (asked <= self.longest_wait).then_some(asked);
        }
        Some(callmeter_backoff::wait(
            sent,
            self.first_wait,
            self.longest_wait,
        ))
    }
}

/// Whether a failure may pass within the seconds that retries take. A 501, for example, does not.
fn is_worth_another_send(error: &Error) -> bool {
    match error.reason() {
        Reason::Throttled | Reason::Server => {
            matches!(error.status(), Some(408 | 429 | 500 | 502 | 503 | 504))
        }
        _ => error.is_retryable(),
    }
}

/// The `Retry-After` header: seconds, or an HTTP date. Seconds beyond 64 bits are the most that
/// fit; a fraction, which HTTP does not allow, is rounded up.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if is_digits(whole) && is_digits(fraction) {
        let seconds = whole.parse::<u64>().unwrap_or(u64::MAX);
        let more = u64::from(fraction.bytes().any(|b| b != b'0'));
        return Some(Duration::from_secs(seconds.saturating_add(more)));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_of_any_size_and_fractions_are_followed() {
        let cases = [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", Some(u64::MAX)),
            ("99999999999999999999999999999999", Some(u64::MAX)),
            ("1.5", Some(2)),
            ("30.0", Some(30)),
            ("0.1", Some(1)),
            ("18446744073709551615.5", Some(u64::MAX)),
            ("-1", None),
            ("", None),
            (".5", None),
            ("5.", None),
            ("1e3", None),
            ("soon", None),
        ];
        for (text, wanted) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            let wait = retry_after(&headers).map(|wait| wait.as_secs());
            assert_eq!(wait, wanted, "{text:?}");
        }
    }
}
