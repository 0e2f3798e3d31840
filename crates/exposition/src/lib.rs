//! Prometheus exposition of a meter's snapshot and of the `prometheus` crate's registry, in one
//! body.
//!
//! ```
//! use std::sync::Arc;
//! use callmeter_exposition::{Coding, Compressed, Exposition, Negotiated, Options};
//! use callmeter_meter::{Ledger, Limits, Meter};
//!
//! let meter = Meter::new(Ledger::new(Limits::default()));
//! let registry = prometheus::Registry::new();
//!
//! // From the request's headers:
//! let negotiated = Negotiated::from_accept(Some("application/openmetrics-text;version=1.0.0"));
//! let coding = Coding::negotiate(Some("gzip"));
//! // The body, chunk by chunk:
//! let (snapshot, families) = (meter.snapshot(), registry.gather());
//! let exposition = Exposition::new(snapshot, families, negotiated.format, Options::default());
//! for chunk in Compressed::new(exposition, coding)? {
//!     let chunk = chunk?;
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The snapshot has its label texts ready to copy, so that a scrape is little more than copying.
//! The registry, which is small, is written after it.

mod collector;
mod compress;
mod negotiate;
mod number;
mod protobuf;
mod registry;
mod stream;
mod text;
mod wire;

pub use collector::SnapshotCollector;
pub use compress::Compressed;
pub use negotiate::{Coding, Escaping, Format, Negotiated, OpenMetricsVersion, TextVersion};
pub use stream::{Exposition, Options};
