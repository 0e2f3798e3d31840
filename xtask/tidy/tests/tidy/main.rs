//! Tests of the source tree. `known.rs` lists the exceptions.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod cycles;
mod fuzz;
mod known;
mod metrics;
mod modules;
mod style;
mod tree;
