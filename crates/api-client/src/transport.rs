//! How requests reach the network; a test or an application can replace it.

use std::error::Error as StdError;
use std::fmt;

use callmeter_error_chain::chain;
use callmeter_server_certificate::{advice, cause};
use futures_util::future::BoxFuture;
use reqwest::StatusCode;

use crate::tls::SETTINGS;

/// Sends one request and returns the head of its answer, without retries.
///
/// `reqwest::Client` implements it. A test can answer from a table, and an application can add its
/// own middleware.
pub trait Transport: Send + Sync + 'static {
    /// Sends the request.
    fn execute(
        &self,
        request: reqwest::Request,
    ) -> BoxFuture<'_, Result<reqwest::Response, TransportError>>;
}

impl Transport for reqwest::Client {
    fn execute(
        &self,
        request: reqwest::Request,
    ) -> BoxFuture<'_, Result<reqwest::Response, TransportError>> {
        Box::pin(async move {
            let response = reqwest::Client::execute(self, request).await?;
            match response.status() {
                StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(TransportKind::Proxy.into()),
                _ => Ok(response),
            }
        })
    }
}

/// Why no complete answer came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportError {
    /// What went wrong.
    pub kind: TransportKind,
    /// The chain of causes, without the URL.
    pub detail: String,
    /// The proxy of the request, if one is set: its address, without credentials.
    pub proxy: Option<String>,
}

impl std::error::Error for TransportError {}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        match &self.proxy {
            Some(proxy) => write!(f, " (proxy: {proxy})"),
            None => Ok(()),
        }
    }
}

impl From<TransportKind> for TransportError {
    fn from(kind: TransportKind) -> Self {
        Self {
            kind,
            detail: String::new(),
            proxy: None,
        }
    }
}

/// What kept a complete answer from coming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TransportKind {
    /// No connection (name, address, port, refusal).
    #[error("cannot connect")]
    Connect,
    /// The connection was not up in time.
    #[error("connect time-out")]
    ConnectTimeout,
    /// The TLS handshake failed, most often because of the certificate.
    #[error("TLS failed")]
    Tls,
    /// Nothing came for too long.
    #[error("read time-out")]
    ReadTimeout,
    /// The whole exchange took too long.
    #[error("total time-out")]
    TotalTimeout,
    /// The answer's body ended early.
    #[error("the answer was cut off")]
    BodyCut,
    /// A proxy between the client and the server asks for credentials.
    #[error("the proxy asks for credentials (407)")]
    Proxy,
    /// Any other failure between the client and the server.
    #[error("request failed")]
    Other,
}

impl TransportKind {
    /// Whether it was one of the time-outs.
    pub fn is_timeout(self) -> bool {
        matches!(
            self,
            Self::ConnectTimeout | Self::ReadTimeout | Self::TotalTimeout
        )
    }
}

impl From<reqwest::Error> for TransportError {
    fn from(error: reqwest::Error) -> Self {
        // The URL may hold private values; the operation's name says enough.
        let error = error.without_url();
        let kind = kind_of(&error);
        let detail = cause(&error)
            .and_then(|cause| advice(cause, &SETTINGS))
            .or_else(|| error.source().map(chain))
            .unwrap_or_default();
        Self {
            kind,
            detail,
            proxy: None,
        }
    }
}

fn kind_of(error: &reqwest::Error) -> TransportKind {
    if error.is_connect() {
        if error.is_timeout() {
            TransportKind::ConnectTimeout
        } else if cause(error).is_some() {
            TransportKind::Tls
        } else {
            TransportKind::Connect
        }
    } else if error.is_timeout() {
        TransportKind::ReadTimeout
    } else if error.is_body() || error.is_decode() {
        TransportKind::BodyCut
    } else {
        TransportKind::Other
    }
}
