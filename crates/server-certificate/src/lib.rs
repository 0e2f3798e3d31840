#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod advice;
mod check;
mod end_point;
mod files;
mod named;

pub use advice::{Settings, advice, cause};
pub use check::Check;
pub use end_point::end_point;
pub use files::{certificates, read_certificates};
