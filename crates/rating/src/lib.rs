//! What calls cost: a deck of call rates, the longest prefix of a number, exact amounts.
//!
//! A [`Deck`] is built once from rows ([`Row`]) and never changes. [`Deck::rate`] finds the rate
//! with the longest prefix of a number and computes the [`Charge`] for a duration, or says why
//! there is none ([`NotCharged`]). It allocates nothing. Amounts are whole units of 10⁻⁵ of the
//! currency ([`Amount`]) and are rounded once, at the end.
//!
//! The formula is that of PortSIP and Sippy: prices are per minute, free seconds come after the
//! first interval, the surcharge is a fraction of everything. Where their documents are silent,
//! [`Options`] has a switch.
#![doc = include_str!("../README.md")]

mod amount;
mod build;
mod deck;
mod digits;
mod entry;
mod explain;
mod formula;
mod intervals;
mod normalise;
mod not_charged;
mod options;
mod row;
mod tariff;

pub use amount::{Amount, ParseAmountError};
pub use build::{Built, Problem, ProblemKind};
pub use deck::{Charge, Deck, Rate};
pub use digits::Digits;
pub use explain::{Explanation, Steps};
pub use not_charged::NotCharged;
pub use options::{
    CostRounding, DuplicatePrefix, DurationRounding, FreeSeconds, NumberOptions, Options,
    OptionsError, ZeroDuration,
};
pub use row::{Row, Value, ValueError};
pub use tariff::Tariff;
