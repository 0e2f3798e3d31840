//! Who has access: TLS, users, headers and rate limit from the file of `--web.config.file`, in the
//! format that the Prometheus exporters share.

mod bucket;
mod client_certs;
mod file;
mod guard;
mod protection;
mod tls;
mod turns;
mod users;
mod watch;

pub use file::AccessError;
pub(super) use guard::guard;
pub use guard::{Access, check};
pub use protection::loses_protection;
