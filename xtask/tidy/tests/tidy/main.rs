//! Tests of the source tree itself. `known.rs` lists what is not in order yet.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod cycles;
mod known;
mod metrics;
mod modules;
mod style;
mod tree;
