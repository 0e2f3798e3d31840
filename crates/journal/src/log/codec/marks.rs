//! Bytes that say how a column continues.

/// No value is null, all are, or a bit for each says which.
pub(super) const NO_NULLS: u8 = 0;
pub(super) const ALL_NULL: u8 = 1;
pub(super) const SOME_NULL: u8 = 2;

/// Decimals that fit 64 bits, or not.
pub(super) const NARROW: u8 = 0;
pub(super) const WIDE: u8 = 1;
