//! Errors of the simulator.

use std::net::SocketAddr;

/// Why a simulator does not start, or a control request is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulatorError {
    /// An option is out of bounds.
    #[error("{option} is {value}: it must be {must}")]
    Option {
        /// The option's name on the command line.
        option: &'static str,
        /// What it was set to.
        value: String,
        /// What it must be.
        must: &'static str,
    },
    /// A listener cannot be opened.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// Why the system refused it.
        error: std::io::Error,
    },
    /// The certificate cannot be made or used.
    #[error("cannot set up TLS with a self-signed certificate: {0}")]
    Tls(String),
    /// The simulated clock was set to a time that it cannot show.
    #[error("the simulated clock cannot go to {asked}: {why}")]
    Clock {
        /// The requested time.
        asked: String,
        /// Why it cannot.
        why: &'static str,
    },
}
