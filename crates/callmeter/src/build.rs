//! The versions of this build.

/// The version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The revision of the source, or `unknown`.
pub const REVISION: &str = env!("CALLMETER_BUILD_REVISION");
/// The version of the compiler.
pub const RUSTC: &str = env!("CALLMETER_BUILD_RUSTC");
/// The target triple.
pub const TARGET: &str = env!("CALLMETER_BUILD_TARGET");
/// All of them, for `--version`.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (revision ",
    env!("CALLMETER_BUILD_REVISION"),
    ", rustc ",
    env!("CALLMETER_BUILD_RUSTC"),
    ", ",
    env!("CALLMETER_BUILD_TARGET"),
    ")"
);
