//! Known exceptions of the tests in this package. Do not add to these lists; remove what is fixed.

/// Files of one crate that depend on each other.
pub(crate) const CYCLES: &[&[&str]] = &[];

/// Files that do not begin with a `//!` line.
pub(crate) const WITHOUT_PURPOSE: &[&str] = &[];

/// How many comment lines of a package may be too wide.
pub(crate) const WIDE_COMMENTS: &[(&str, usize)] = &[];

/// Files named `mod.rs` that hold more than declarations and re-exports.
pub(crate) const MOD_FILES_WITH_LOGIC: &[&str] = &[];

/// Families that nothing updates.
pub(crate) const METRICS_NEVER_UPDATED: &[&str] = &[];
