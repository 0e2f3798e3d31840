//! PortSIP PBX: logins, the tenant's billing and the rate deck.
//!
//! [`routes`] maps paths to handlers. [`pbx`] is the state: [`tokens`] of logins, the tenant's
//! [`account`], and the [`deck`] of rates. [`query`] reads the parameters of the list of rates.

mod account;
mod deck;
mod error;
pub(crate) mod pbx;
mod query;
mod rate;
mod routes;
mod seeding;
mod tokens;

pub(crate) use error::ApiError;
pub(crate) use routes::router;
