//! What the status page says of an account's calls: how far they are read, and what may be missing.

use jiff::Timestamp;
use maud::{Markup, html};

use super::words::{moment, number, span_of};
use crate::status::CallsProgress;

/// The most days that are listed.
const LISTED: usize = 10;
/// Clocks that differ by less are not worth a line.
const SKEW_SECONDS: i64 = 60;

pub(super) fn calls_card(calls: &CallsProgress, now: Timestamp) -> Markup {
    let beyond = calls.unproven.len().saturating_sub(LISTED);
    html! {
        @if let Some(watermark) = calls.watermark {
            p.fact { "Calls read up to " (moment(watermark, now)) }
        }
        @if !calls.unproven.is_empty() {
            p.fact { (days(calls.unproven.len())) " may miss calls:" }
            ul {
                @for day in calls.unproven.iter().take(LISTED) { li { (day.date) ": " (day.reason) } }
                @if beyond > 0 { li { "and " (beyond) " more" } }
            }
        }
        @if calls.waiting > 0 {
            p.fact { (number(calls.waiting)) " calls do not count yet, because they have not settled" }
        }
        @if let Some(skew) = calls.clock_skew.map(|skew| skew.as_secs()).filter(|skew| skew.abs() >= SKEW_SECONDS) {
            p.fact {
                "The server's clock is " (span_of(skew.unsigned_abs()))
                @if skew > 0 { " ahead" } @else { " behind" }
            }
        }
        @if let Some(reason) = &calls.tail {
            p.fact { "New calls are found by reading whole days: " (reason) }
        }
        p.fact {
            (number(calls.requests_last_hour)) " requests for calls in the last hour, of "
            (number(calls.requests_per_hour)) " that calls.max_requests_per_minute allows"
            @if calls.requests_needed_per_hour > calls.requests_per_hour {
                "; reading all days in time needs " (number(calls.requests_needed_per_hour))
            }
        }
    }
}

/// A number of days in words.
fn days(number: usize) -> String {
    match number {
        1 => "1 day".to_owned(),
        number => format!("{number} days"),
    }
}
