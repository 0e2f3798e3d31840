//! A client for the billing of a PortSIP PBX tenant: settings, balance, call rates.
//!
//! ```no_run
//! use portsip_client::{SecretSource, Session};
//!
//! # async fn example() -> Result<(), portsip_client::Error> {
//! let session = Session::builder("https://pbx.example.com:8887/api")
//!     .credentials("billing", SecretSource::file("/etc/pbx.password"))
//!     .domain("example.com")
//!     .build()?;
//! println!("{:?}", session.balance().await?);
//! let mut pages = session.rates(&Default::default());
//! while let Some(page) = pages.next().await {
//!     for rate in page?.rates {
//!         match rate {
//!             Ok(rate) => println!("{:?} {:?}", rate.prefix, rate.price_1),
//!             Err(bad) => eprintln!("rate {} cannot be read: {}", bad.index, bad.reason),
//!         }
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Session`] signs in as needed, refreshes its token before it expires, and signs in again once
//! when the token is refused. It only reads; [`SessionBuilder::build_writable`] gives a session
//! that may also write. Money is an exact decimal ([`Amount`]), never a double. [`Session::api`]
//! has every operation of the API that reads, generated from its description. See [`Error`] for
//! what can go wrong.

mod answer;
mod csv_export;
mod csv_rows;
mod deck;
#[rustfmt::skip]
#[expect(missing_docs, clippy::pedantic, reason = "generated")]
pub mod generated;
mod export_columns;
mod export_reader;
mod open;
mod rates;
mod session;
mod tokens;
mod writable;

pub use api_client::{
    Amount, Cap, Error, ErrorKind, FieldError, HttpOptions, Observer, Outcome, Proxy, Reason,
    Reply, ReplyStream, RequestContext, RequestEvent, ResourceId, ResourceIdError, RetryPolicy,
    Scrubber, Secret, SecretError, SecretSource, StatedAmount, Tls, TlsError, Transport,
    TransportError, TransportKind,
};
pub use rust_decimal::Decimal;

pub use csv_export::{ExportedRates, RateExport};
pub use deck::{Deck, DeckSource, WhyNoExport};
pub use export_columns::MissingColumns;
pub use export_reader::{ExportError, ExportReader};
pub use generated::types::{
    CallRate, CallRateCreate, CallRateUpdate, Tenant, TenantBilling, TenantBillingUpdate,
};
pub use open::{BillingAccount, CallRateType, ChargingType};
pub use rates::{RatePages, RatesPage, RatesQuery, RowError};
pub use session::{Session, SessionBuilder};
pub use writable::WritableSession;

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
