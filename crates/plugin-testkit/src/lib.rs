//! Tests that check whether an output plugin follows callmeter's rules.
//!
//! An author adds one line to a test of the plugin's crate:
//!
//! ```ignore
//! callmeter_plugin_testkit::conformance!("my_plugin", |dir| {
//!     format!(r#"{{"path": "{}/out.txt"}}"#, dir.display())
//! });
//! ```
//!
//! It loads the library that cargo built for the crate and feeds it what callmeter may send: every
//! stream, empty and large batches, slices at odd offsets, columns full of nulls, text that is hard
//! to encode, the same batches again, two instances at once, a stop in the middle.
//!
//! [`Rig`] is the small callmeter that these tests use; use it for your own tests. [`generate`]
//! makes batches.

pub mod conformance;
pub mod generate;
mod library;
mod rig;
mod written;

pub use callmeter_plugin_host as host;
pub use callmeter_records::Stream;
pub use library::built_library;
pub use rig::{Rig, RigOptions};

/// Makes a test that loads a plugin and checks that it follows the rules.
///
/// The first argument is the path of a library, or the name of one that cargo built beside the test
/// (`my_plugin` for `libmy_plugin.so`). The second returns the plugin's configuration as JSON,
/// given an empty directory that the plugin may write to; without it the configuration is `{}`.
#[macro_export]
macro_rules! conformance {
    ($library:expr) => {
        $crate::conformance!($library, |_| String::from("{}"));
    };
    ($library:expr, $config:expr) => {
        #[test]
        fn the_plugin_keeps_the_rules() {
            let config: fn(&::std::path::Path) -> String = $config;
            let report = $crate::conformance::run(&$crate::built_library($library), config);
            ::std::println!("{report}");
            ::std::assert!(report.passed(), "{report}");
        }
    };
}

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
