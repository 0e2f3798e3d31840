#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod access;
mod admission;
mod bucket;
mod client_certs;
mod error;
mod file;
mod protection;
mod raw;
mod rules;
mod tls;
mod turns;
mod users;
mod watch;

pub use access::Access;
pub use admission::{Admission, Refusal};
pub use error::AccessError;
pub use file::loses_protection;
pub use rules::check;
