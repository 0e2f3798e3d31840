//! Both servers as they are seen from outside, byte for byte where it matters.

#![expect(clippy::expect_used, reason = "a test ends where its expectation does")]

mod clients;
mod common;
mod exchanges;
mod faults;
mod hostedsuite;
mod pages_and_ranges;
mod portsip;
mod rows_and_times;
