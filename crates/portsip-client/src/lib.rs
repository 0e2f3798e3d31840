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
//! A [`Session`] signs in by itself, refreshes its token before it expires, and signs in again once when it is refused.
//! It only reads; [`Session::writable`] gives the other half. Money is an exact decimal ([`Amount`]), never a double.
//! See [`Error`] for what can go wrong, and [`generated`] for the bare client that is generated from the description.

mod answer;
mod auth;
mod csv_export;
mod deck;
#[rustfmt::skip]
#[expect(missing_docs, clippy::pedantic, reason = "generated")]
pub mod generated;
mod export_columns;
mod generated_hooks;
mod open;
mod rates;
mod session;
mod writable;

pub use api_client::{
    Amount, Cap, Error, FieldError, HttpOptions, Kind, Observer, Outcome, RequestEvent, ResourceId,
    ResourceIdError, RetryPolicy, Scrubber, Secret, SecretError, SecretSource, Tls, TlsError,
    Transport, TransportError, TransportKind,
};
pub use rust_decimal::Decimal;

pub use csv_export::{ExportedRates, RateExport};
pub use deck::{Deck, DeckSource, WhyNoExport};
pub use export_columns::MissingColumns;
pub use generated::types::{
    CallRate, CallRateCreate, CallRateUpdate, Tenant, TenantBilling, TenantBillingUpdate,
};
pub use generated_hooks::{Inner, MANNERS};
pub use open::{BillingAccount, CallRateType, ChargingType};
pub use rates::{RatePages, RatesPage, RatesQuery, RowError};
pub use session::{Session, SessionBuilder};
pub use writable::WritableSession;
