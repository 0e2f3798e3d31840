//! What the API clients share, and what generated code refers to.
//!
//! - For generated code: [`RequestContext`], [`Reply`], [`ReplyStream`], [`Operation`], [`Secret`],
//!   [`ResourceId`], [`open_enum!`], [`Number`], [`Amount`], [`lenient`].
//! - For the hand-written facades: [`Executor`] (time-outs, retries, bounded bodies), [`Observer`]
//!   for metrics, [`Error`] with its [`ErrorKind`], [`TokenSource`], [`SecretSource`],
//!   [`HttpOptions`] and [`Tls`], [`Scrubber`], [`FoldNames`].
//!
//! Nothing here depends on one API. A generated client sends through a [`RequestContext`], which
//! uses an [`Executor`], which uses a [`Transport`].

mod amount;
mod answer;
mod api_address;
mod bare_words;
mod body;
mod coding;
mod concurrency;
mod error;
mod exchange;
mod executor;
mod fold_names;
mod format;
mod http_options;
pub mod lenient;
mod number;
mod open_enum;
mod proxy;
mod reply;
mod request_context;
mod resource_id;
mod retry;
mod scrub;
mod secret;
mod tls;
mod transport;
mod windows_1252;

pub use amount::{Amount, StatedAmount};
pub use answer::Answer;
pub use api_address::base_url;
pub use body::strip_bom;
pub use concurrency::ConcurrencyLimit;
pub use error::{Cap, Error, ErrorKind, FieldError, Reason};
pub use exchange::{Observer, Outcome, RequestEvent};
pub use executor::{Classify, Executor, ExecutorBuilder, Operation};
pub use fold_names::{FoldNames, from_json, from_json_items};
pub use format::Format;
pub use http_options::HttpOptions;
pub use number::{Exact, Number, milliseconds};
pub use proxy::Proxy;
pub use reply::{Reply, ReplyStream};
pub use request_context::{Body, NO_BODY, RequestContext, TokenSource};
pub use resource_id::{ResourceId, ResourceIdError};
pub use retry::RetryPolicy;
pub use scrub::Scrubber;
pub use secret::{Secret, SecretError, SecretSource};
pub use tls::{Tls, TlsError};
pub use transport::{Transport, TransportError, TransportKind};
pub use windows_1252::repair as repair_text;

/// What [`open_enum!`] and generated code refer to.
#[doc(hidden)]
pub mod __private {
    pub use progenitor_client;
    pub use serde;
}

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
