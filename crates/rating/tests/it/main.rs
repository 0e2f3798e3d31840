//! Decks by their public interface: worked examples, a naive reference, decks of the real world.

#![allow(clippy::unwrap_used, reason = "tests")]

mod allocations;
mod decks;
mod examples;
mod numbering_plans;
mod problems;
mod realistic;
mod reference;
