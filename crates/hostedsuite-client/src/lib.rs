//! A client for HostedSuite's web services: call-allowance balances, call records, clients.
//!
//! ```no_run
//! use hostedsuite_client::{CallsQuery, Client, SecretSource};
//!
//! # async fn example() -> Result<(), hostedsuite_client::Error> {
//! let client = Client::builder("https://cpo.hostedsuite.com/api")
//!     .credentials("Acme", "exporter", SecretSource::file("/etc/acme.password"))
//!     .build()?;
//! let mut pages = client.calls(&CallsQuery::on("2026-08-06".parse().unwrap()));
//! while let Some(page) = pages.next().await {
//!     for call in page?.calls() {
//!         match call {
//!             Ok(call) => println!("{:?} {:?}", call.id(), call.talk_time().duration_ms()),
//!             Err(bad) => eprintln!("record {} cannot be read: {}", bad.index, bad.reason),
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The server is not strict, so the client is careful: member names match without case, a missing
//! number differs from zero and from `NaN`, one unreadable record does not make its page
//! unreadable, and values that the server would silently ignore (a misspelt rounding, an unreadable
//! date) cannot be requested. See [`Error`] for what can go wrong, [`CallPages`] for how calls are
//! read to the end, and [`generated`] for the operations that are generated from the API's
//! description.

mod answer;
mod balances;
mod call_pages;
mod client;
mod clients;
#[rustfmt::skip]
#[expect(missing_docs, clippy::pedantic, reason = "generated")]
pub mod generated;
mod calls;
#[rustfmt::skip]
mod generated_members;
mod known_rows;
mod members;
mod no_id;
mod open;
mod owned;
mod query;
mod raw_table;
mod rows;
mod walk;

pub use api_client::{
    Cap, ConcurrencyLimit, Error, ErrorKind, Exact, FieldError, Format, HttpOptions, Number,
    Observer, Outcome, Proxy, Reason, RequestContext, RequestEvent, RetryPolicy, Scrubber, Secret,
    SecretError, SecretSource, Tls, TlsError, Transport, TransportError, TransportKind,
};

pub use balances::{BalanceRef, Balances};
pub use call_pages::{CallPages, LIST_CALLS_ID, Summary};
pub use calls::{CallRef, CallRow, CallsPage, InteractionRef};
pub use client::{Client, ClientBuilder};
pub use clients::{ClientRef, Clients};
pub use generated::types::{CallRoundingType as CallRounding, SortDir, UserInfo};
pub use known_rows::{Hashed, KeyIsHash, KnownRows, KnownText};
pub use members::{Member, MemberValue};
pub use no_id::is_no_id;
pub use open::CallAllowanceType;
pub use owned::{CallRecord, Interaction};
pub use query::{BalanceQuery, CallType, CallsQuery, Caps, ClientsQuery};
pub use rows::RowError;
pub use walk::{Ending, FirstPage, Position, Shortfall};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
