//! Who has access: TLS, users, headers and rate limit from the file of `--web.config.file`, in the
//! format that the Prometheus exporters share.

mod bucket;
mod client_certs;
mod file;
mod guard;
mod protection;
mod raw;
mod tls;
mod turns;
mod users;
mod watch;

pub use file::{AccessError, loses_protection};
pub(super) use guard::guard;
pub use guard::{Access, check};
