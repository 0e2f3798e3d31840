//! Posts a body and interprets the answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use callmeter_plugin_sdk::{Host, error_chain};
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use url::Url;

use crate::config::{Config, ConfigError, ConfigErrors};
use crate::sign::Signer;
use crate::tls;

/// The result of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    /// 2xx.
    Accepted,
    /// Try again later; not before `after` if the server says so.
    Later {
        reason: String,
        after: Option<Duration>,
    },
    /// The same request will never be accepted.
    Refused { reason: String },
    /// callmeter asked the call to return.
    Cancelled,
}

/// An HTTP client with its own async runtime.
pub(crate) struct Sender {
    runtime: Runtime,
    client: Client,
    url: Url,
    signer: Signer,
    cancel: watch::Receiver<u64>,
    host: Host,
}

impl Sender {
    pub(crate) fn new(host: Host, config: &Config) -> Result<Self, ConfigErrors> {
        let (client, url, signer) = Self::client(config)?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ConfigError::Client(error_chain(&error)))?;
        let (raise, cancel) = watch::channel(0_u64);
        host.on_cancel(move || raise.send_modify(|times| *times = times.wrapping_add(1)));
        Ok(Self {
            runtime,
            client,
            url,
            signer,
            cancel,
            host,
        })
    }

    /// The parts that the configuration determines, or everything that is wrong with it. It reads
    /// the files of certificates and connects to nobody.
    pub(crate) fn client(config: &Config) -> Result<(Client, Url, Signer), ConfigErrors> {
        let mut wrong = config.check();
        let mut keep = |error: ConfigError| wrong.push(error);
        let url = config.address().map_err(&mut keep).ok();
        let signer = Signer::new(&config.secrets()).map_err(&mut keep).ok();
        let tls = tls::client_config(config).map_err(&mut keep).ok();
        let proxy = proxy(config).map_err(&mut keep).ok();
        let headers = config.header_map(&mut wrong);
        let (true, Some(url), Some(signer), Some(tls), Some(proxy)) =
            (wrong.is_empty(), url, signer, tls, proxy)
        else {
            return Err(ConfigErrors(wrong));
        };
        let builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .default_headers(headers)
            .user_agent(concat!("callmeter-webhook/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .timeout(config.timeout.0)
            .connect_timeout(config.connect_timeout.0)
            // The runtime sleeps between batches: a connection that is idle for long may be dead
            // unnoticed.
            .pool_idle_timeout(Duration::from_secs(15));
        let builder = match proxy {
            None => builder.no_proxy(),
            Some(proxy) => builder.proxy(proxy),
        };
        let client = builder
            .build()
            .map_err(|error| ConfigError::Client(error_chain(&error.without_url())))?;
        Ok((client, url, signer))
    }

    /// The address without its secret parts.
    pub(crate) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Posts a body with an id, which is the same for every attempt.
    pub(crate) fn post(&self, id: &str, body: Vec<u8>) -> Sent {
        let mut cancel = self.cancel.clone();
        cancel.mark_unchanged();
        if self.host.cancelled() {
            return Sent::Cancelled;
        }
        let now = SystemTime::now();
        let timestamp = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let mut request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("idempotency-key", id)
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp);
        if let Some(signature) = self.signer.sign(id, timestamp, &body) {
            request = request.header("webhook-signature", signature);
        }
        let answer = self.runtime.block_on(async {
            tokio::select! {
                answer = exchange(request.body(body)) => Some(answer),
                // The sender lives in the host's list, as long as `self`.
                _ = cancel.changed() => None,
            }
        });
        match answer {
            None => Sent::Cancelled,
            Some(Ok((status, headers))) => judge(status, &headers, now),
            Some(Err(error)) => Sent::Later {
                reason: format!("{}: {}", self.origin(), error_chain(&error.without_url())),
                after: None,
            },
        }
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The rest of the address may be a token.
        f.debug_struct("Sender")
            .field("origin", &self.origin())
            .finish_non_exhaustive()
    }
}

/// The proxy of the configuration.
fn proxy(config: &Config) -> Result<Option<reqwest::Proxy>, ConfigError> {
    let Some(proxy) = &config.proxy else {
        return Ok(None);
    };
    let found = Url::parse(proxy.url.expose().trim())
        .ok()
        .filter(|url| url.scheme() == "http" && url.host().is_some())
        .ok_or(ConfigError::Proxy(
            "`url` must look like http://proxy.example.com:3128",
        ))?;
    let through =
        reqwest::Proxy::all(found).map_err(|_| ConfigError::Proxy("`url` cannot be used"))?;
    match (&proxy.username, &proxy.password) {
        (Some(username), Some(password)) => {
            Ok(Some(through.basic_auth(username, password.expose().trim())))
        }
        (None, None) => Ok(Some(through)),
        _ => Err(ConfigError::Proxy("`username` and `password` go together")),
    }
}

async fn exchange(request: reqwest::RequestBuilder) -> reqwest::Result<(StatusCode, HeaderMap)> {
    let mut response: Response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    // A short answer is read to its end, so that the connection can be used again. A longer one is
    // not worth it, and what fails now changes nothing: the server has decided.
    let mut left: usize = 64 << 10;
    while let Ok(Some(chunk)) = response.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    Ok((status, headers))
}

/// Only 2xx is success. Codes from 400 to 499 mean that the request is wrong and will stay wrong,
/// except those that are about timing. The body is not read, because it may quote the request.
fn judge(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Sent {
    let reason = format!("the server answered {status}");
    let after = headers
        .get(RETRY_AFTER)
        .and_then(|value| retry_after(value, now));
    match status.as_u16() {
        200..=299 => Sent::Accepted,
        300..=399 => Sent::Later {
            reason: format!("{reason}; redirects are not followed: set `url` to where it leads"),
            after,
        },
        408 | 409 | 425 | 429 => Sent::Later { reason, after },
        400..=499 => Sent::Refused { reason },
        _ => Sent::Later { reason, after },
    }
}

/// Seconds, or a date.
fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_meaning() {
        let now = UNIX_EPOCH;
        let meaning = |code: u16| {
            let status = StatusCode::from_u16(code).unwrap();
            match judge(status, &HeaderMap::new(), now) {
                Sent::Accepted => "accepted",
                Sent::Later { .. } => "later",
                Sent::Refused { .. } => "refused",
                Sent::Cancelled => "cancelled",
            }
        };
        for code in 100..=999 {
            let expected = match code {
                200..=299 => "accepted",
                408 | 409 | 425 | 429 => "later",
                400..=499 => "refused",
                _ => "later",
            };
            assert_eq!(meaning(code), expected, "{code}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, seconds) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let value = HeaderValue::from_static(text);
            assert_eq!(
                retry_after(&value, now),
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
    }
}
