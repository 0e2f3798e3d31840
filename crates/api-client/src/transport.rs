//! The way to the network, which a test or an application may replace.

use std::error::Error as StdError;

use futures_util::future::BoxFuture;

use crate::TransportKind;

/// Sends one request and brings back the head of its answer, without retries.
///
/// `reqwest::Client` is one; a test can answer from a table, an application can put its own middleware here.
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
            reqwest::Client::execute(self, request)
                .await
                .map_err(TransportError::from)
        })
    }
}

/// Why no complete answer came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct TransportError {
    /// What went wrong.
    pub kind: TransportKind,
    /// The chain of causes, without the URL.
    pub detail: String,
}

impl From<reqwest::Error> for TransportError {
    fn from(error: reqwest::Error) -> Self {
        // The URL may hold what its writer did not mean to show; the operation's name says enough.
        let error = error.without_url();
        let kind = kind_of(&error);
        let mut detail = String::new();
        let mut cause: Option<&dyn StdError> = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Wrappers repeat their source's text.
            if !detail.ends_with(&text) {
                if !detail.is_empty() {
                    detail.push_str(": ");
                }
                detail.push_str(&text);
            }
            cause = error.source();
        }
        Self { kind, detail }
    }
}

fn kind_of(error: &reqwest::Error) -> TransportKind {
    if error.is_connect() {
        if error.is_timeout() {
            TransportKind::ConnectTimeout
        } else if is_tls(error) {
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

fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    error.is::<rustls::Error>()
        // `io::Error` hides what it wraps from `source`, and may wrap another one.
        || error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .is_some_and(|inner| is_tls(inner))
        || error.source().is_some_and(is_tls)
}
