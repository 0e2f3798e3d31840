//! The HTTP client: time-outs, TLS, proxy, no redirects.

use std::sync::Arc;
use std::time::Duration;

use reqwest::NoProxy;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

use crate::error::Error;
use crate::proxy::{ProxiedClient, Proxy};
use crate::tls::Tls;
use crate::transport::Transport;

/// Options of the HTTP client.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// The longest that connecting may take.
    pub connect_timeout: Duration,
    /// The longest silence on an open connection.
    pub read_timeout: Duration,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// How the server's certificate is checked.
    pub tls: Tls,
    /// Whether proxies of the environment (`HTTPS_PROXY`, `NO_PROXY`, …) are used, if `proxy` is
    /// not set.
    pub use_env_proxy: bool,
    /// The proxy of all requests.
    pub proxy: Option<Proxy>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            user_agent: concat!("callmeter/", env!("CARGO_PKG_VERSION")).to_owned(),
            tls: Tls::default(),
            use_env_proxy: true,
            proxy: None,
        }
    }
}

impl HttpOptions {
    /// The client. It asks for gzip, which the [`Executor`](crate::Executor) undoes, and follows no
    /// redirect: a redirected request would carry its credentials along.
    pub fn build(&self) -> Result<reqwest::Client, Error> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.client_config()?)
            .connect_timeout(self.connect_timeout)
            .read_timeout(self.read_timeout)
            .user_agent(&self.user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .default_headers(HeaderMap::from_iter([(
                ACCEPT_ENCODING,
                HeaderValue::from_static("gzip"),
            )]));
        let failed =
            |error: reqwest::Error| Error::setup(format!("cannot build the HTTP client: {error}"));
        if let Some(Proxy { url, no_proxy }) = &self.proxy {
            let no_proxy = no_proxy.as_deref().and_then(NoProxy::from_string);
            let proxy = reqwest::Proxy::all(url.clone()).map_err(failed)?;
            builder = builder.proxy(proxy.no_proxy(no_proxy));
        } else if !self.use_env_proxy {
            builder = builder.no_proxy();
        }
        builder.build().map_err(failed)
    }

    /// How a client that was built from these options sends requests.
    pub fn transport(&self, client: &reqwest::Client) -> Arc<dyn Transport> {
        let client = client.clone();
        match &self.proxy {
            Some(proxy) => Arc::new(ProxiedClient::new(client, proxy)),
            None => Arc::new(client),
        }
    }
}
