//! What the API clients share, and what generated code refers to.
//!
//! - For generated code: [`Secret`], [`ResourceId`], [`open_enum!`], [`Number`], [`Amount`], [`lenient`], [`decode`], [`decode_error`].
//! - For the hand-written facades: [`Executor`] (time-outs, retries, bounded bodies, the metrics hook), [`Error`] with its
//!   [`Kind`], [`SecretSource`], [`HttpOptions`] and [`Tls`], [`Scrubber`], [`FoldNames`].
//!
//! Nothing here knows an API. The arrows go one way: a facade uses the executor, the executor a [`Transport`].

mod amount;
mod bare_words;
mod base_url;
mod body;
mod call;
mod decode;
mod error;
mod exec;
mod fold_names;
mod http_options;
pub mod lenient;
mod number;
mod observe;
mod open_enum;
mod resource_id;
mod retry;
mod scrub;
mod secret;
mod tls;
mod transport;

pub use amount::Amount;
pub use base_url::base_url;
pub use body::strip_bom;
pub use call::{Call, Manners, Mode};
pub use decode::{decode, decode_error, failure_of, unread_body};
pub use error::{Cap, Error, FieldError, Kind, TransportKind};
pub use exec::{Answer, Executor, ExecutorBuilder, Judge, Operation, Tally, failed_response};
pub use fold_names::{FoldNames, from_json, from_json_items};
pub use http_options::HttpOptions;
pub use number::{Exact, Number};
pub use observe::{Observer, Outcome, RequestEvent};
pub use resource_id::{ResourceId, ResourceIdError};
pub use retry::{RetryPolicy, Verdict, retry_after};
pub use scrub::Scrubber;
pub use secret::{Secret, SecretError, SecretSource};
pub use tls::{Tls, TlsError};
pub use transport::{Transport, TransportError};

/// What [`open_enum!`] expands to refers to.
#[doc(hidden)]
pub mod __private {
    pub use serde;
}
