//! HostedSuite, version 2.
//!
//! [`routes`] finds the operation of a request and [`members`] reads its members. [`service`]
//! answers it: [`listing`] and [`allowances`] compute the answer from the world, [`negotiate`]
//! chooses its format, [`wire`] and [`encode`] write it.

mod allowances;
mod dates;
mod encode;
mod error;
mod listing;
mod members;
mod negotiate;
mod routes;
mod service;
mod wire;

pub(crate) use routes::Request;
pub(crate) use service::answer;
