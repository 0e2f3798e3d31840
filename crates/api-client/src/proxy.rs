//! The proxy of all requests. Failures on the way name it.

use futures_util::future::BoxFuture;
use url::Url;

use crate::transport::{Transport, TransportError};

/// A proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Its address: `http`, `https`, `socks5` or `socks5h`.
    pub url: Url,
    /// Hosts that are reached without it, in the format of `NO_PROXY`.
    pub no_proxy: Option<String>,
}

impl Proxy {
    /// What a failure says of it: scheme, host and port, no credentials.
    fn address(&self) -> String {
        let scheme = self.url.scheme();
        let host = self.url.host_str().unwrap_or_default();
        let port = self
            .url
            .port_or_known_default()
            .map(|port| format!(":{port}"));
        let except = match self.no_proxy {
            Some(_) => ", except for hosts of no_proxy",
            None => "",
        };
        format!("{scheme}://{host}{}{except}", port.unwrap_or_default())
    }
}

/// Sends requests through a proxy.
pub(crate) struct ProxiedClient {
    client: reqwest::Client,
    address: String,
}

impl ProxiedClient {
    pub(crate) fn new(client: reqwest::Client, proxy: &Proxy) -> Self {
        Self {
            client,
            address: proxy.address(),
        }
    }

    fn named(&self, error: TransportError) -> TransportError {
        TransportError {
            proxy: Some(self.address.clone()),
            ..error
        }
    }
}

impl Transport for ProxiedClient {
    fn execute(
        &self,
        request: reqwest::Request,
    ) -> BoxFuture<'_, Result<reqwest::Response, TransportError>> {
        Box::pin(async move {
            let answer = Transport::execute(&self.client, request).await;
            answer.map_err(|error| self.named(error))
        })
    }
}
