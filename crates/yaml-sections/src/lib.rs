#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod problem;
mod problems;
mod section;
mod values;
mod yaml;

pub use problem::{ConfigError, Place, Problem, did_you_mean, suggest};
pub use problems::Problems;
pub use section::{DAY, HOUR, MINUTE, SECOND, Section, Text};
pub use serde_saphyr::{Location, Spanned};
pub use values::{format_duration, format_size, parse_duration, parse_size};
pub use yaml::{MAX_FILE_BYTES, Node, Value, parse, source, to_json};
