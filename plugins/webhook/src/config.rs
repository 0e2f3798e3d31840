//! The configuration of a webhook output, checked in full before the first record.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use callmeter_plugin_sdk::Stream;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use url::Url;

use crate::redact;
use crate::secret::Secret;

/// The JSON Schema of [`Config`], shown by `callmeter plugin check`.
pub(crate) const SCHEMA: &str = include_str!("config.schema.json");

/// `config:` of a webhook output. callmeter resolves `…_file` and `…_env` of secrets before.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The address to post records to. Never shown, because many services put a token into the
    /// path.
    pub url: Secret,
    /// Permits `http://` to other hosts.
    #[serde(default)]
    pub allow_http: bool,
    /// Signs requests.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// Sign requests too, so that the receiver can change its secret.
    #[serde(default)]
    pub more_secrets: Vec<SecretItem>,
    /// The largest number of records in a request.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// The time limit for a request and its answer.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// The time limit for connecting, including TLS.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: Span,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Header>,
    /// The columns to send, besides `account` and `sequence`. Without it, all are sent.
    #[serde(default)]
    pub fields: Option<Vec<String>>,
    /// Columns with personal data to send unredacted.
    #[serde(default)]
    pub reveal: Vec<String>,
    /// A PEM file with the certificates to trust instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A PEM file with the client certificate and its chain.
    #[serde(default)]
    pub client_cert_file: Option<PathBuf>,
    /// A PEM file with the key of `client_cert_file`.
    #[serde(default)]
    pub client_key_file: Option<PathBuf>,
    /// The proxy to use. Without it no proxy is used; environment variables are ignored.
    #[serde(default)]
    pub proxy: Option<Proxy>,
    /// When to pause after failures.
    #[serde(default)]
    pub circuit: CircuitConfig,
}

/// A further secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretItem {
    /// The secret.
    pub secret: Secret,
}

/// The value of a header.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a text, or `secret_file` with a path")]
pub enum Header {
    /// A plain text.
    Plain(Secret),
    /// From `secret_file` or `secret_env`.
    Resolved(SecretItem),
}

impl Header {
    fn value(&self) -> &str {
        match self {
            Self::Plain(value) | Self::Resolved(SecretItem { secret: value }) => {
                value.expose().trim()
            }
        }
    }
}

/// An HTTP proxy.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Its address: `http://proxy.example.com:3128`.
    pub url: Secret,
    /// The user, if it asks for one.
    #[serde(default)]
    pub username: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<Secret>,
}

/// When to pause after failures.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CircuitConfig {
    /// Failures in a row that open the circuit.
    #[serde(default = "default_failures")]
    pub failures: u32,
    /// The first pause; it doubles up to five minutes.
    #[serde(default = "default_pause")]
    pub pause: Span,
}

impl Default for CircuitConfig {
    fn default() -> Self {
        Self {
            failures: default_failures(),
            pause: default_pause(),
        }
    }
}

/// A time: seconds as a number, or with a unit: `500ms`, `30s`, `2m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected a time up to an hour such as 500ms, 30s or 2m"
        )]
        enum Written {
            Seconds(u64),
            Text(String),
        }
        let span = match Written::deserialize(deserializer)? {
            Written::Seconds(seconds) => Some(Duration::from_secs(seconds)),
            Written::Text(text) => parse_span(&text),
        };
        let span =
            span.filter(|span| (Duration::from_millis(1)..=Duration::from_hours(1)).contains(span));
        span.map(Self).ok_or_else(|| {
            D::Error::custom("expected a time up to an hour such as 500ms, 30s or 2m")
        })
    }
}

fn parse_span(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let millis = match unit.trim_start() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

fn default_batch() -> usize {
    500
}

fn default_timeout() -> Span {
    Span(Duration::from_secs(30))
}

fn default_connect_timeout() -> Span {
    Span(Duration::from_secs(10))
}

fn default_failures() -> u32 {
    5
}

fn default_pause() -> Span {
    Span(Duration::from_secs(30))
}

/// callmeter asks a call to return after a minute, and the request would be sent again.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(50);

/// Why a configuration cannot work. No message quotes a value that may be secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("`url`: {0}")]
    Url(&'static str),
    #[error("`secret`: {0}")]
    Secret(&'static str),
    #[error("`batch`: expected 1 to 100000 records")]
    Batch,
    #[error("`headers`: {name:?} {problem}")]
    Header { name: String, problem: &'static str },
    #[error("`fields`: the list is empty; leave it out to send every column")]
    NoFields,
    #[error("`fields`: no stream has the column {name:?}; {hint}")]
    Field { name: String, hint: String },
    #[error("`reveal`: {0:?} is no column with personal data; those are {known}", known = redact::PERSONAL.join(", "))]
    Reveal(String),
    #[error("`{key}`: {}: {problem}", path.display())]
    File {
        key: &'static str,
        path: PathBuf,
        problem: String,
    },
    #[error("`client_cert_file` and `client_key_file` go together")]
    HalfIdentity,
    #[error("`proxy`: {0}")]
    Proxy(&'static str),
    #[error("`timeout`: at most 50s, because callmeter ends a call after a minute")]
    Timeout,
    #[error("`circuit`: `failures` must be at least 1")]
    Circuit,
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
}

/// Everything that is wrong with a configuration.
#[derive(Debug)]
pub(crate) struct ConfigErrors(pub(crate) Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}

impl std::error::Error for ConfigErrors {}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

/// Headers that the output sets itself, or that belong to the connection.
const RESERVED: [&str; 10] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "idempotency-key",
    "transfer-encoding",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

impl Config {
    /// The address, if it may be used.
    pub(crate) fn address(&self) -> Result<Url, ConfigError> {
        let url =
            Url::parse(self.url.expose().trim()).map_err(|_| ConfigError::Url("it is no URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ConfigError::Url(
                "it holds a user name or password; send them as a header with `secret_file`",
            ));
        }
        let local = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(ConfigError::Url("it names no host")),
        };
        match url.scheme() {
            "https" => Ok(url),
            "http" if local || self.allow_http => Ok(url),
            "http" => Err(ConfigError::Url(
                "http sends records unencrypted; use https, or set `allow_http: true`",
            )),
            _ => Err(ConfigError::Url("it must begin with https://")),
        }
    }

    /// Every secret that requests are signed with.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let more = self.more_secrets.iter().map(|item| item.secret.clone());
        self.secret.clone().into_iter().chain(more).collect()
    }

    /// The headers of the configuration, none shown when requests are logged.
    pub(crate) fn header_map(&self, wrong: &mut Vec<ConfigError>) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, header) in &self.headers {
            let mut refuse = |problem| {
                wrong.push(ConfigError::Header {
                    name: name.clone(),
                    problem,
                });
            };
            let Ok(key) = HeaderName::from_bytes(name.as_bytes()) else {
                refuse("is no name of a header");
                continue;
            };
            if RESERVED.contains(&key.as_str()) {
                refuse("is set by the output itself");
                continue;
            }
            let Ok(mut value) = HeaderValue::from_str(header.value()) else {
                refuse("has a value that no header can have");
                continue;
            };
            value.set_sensitive(true);
            if map.insert(key, value).is_some() {
                refuse("is there twice");
            }
        }
        map
    }

    /// Checks what neither the types nor the functions above say.
    pub(crate) fn check(&self) -> Vec<ConfigError> {
        let mut wrong = Vec::new();
        if !(1..=100_000).contains(&self.batch) {
            wrong.push(ConfigError::Batch);
        }
        if self.fields.as_ref().is_some_and(Vec::is_empty) {
            wrong.push(ConfigError::NoFields);
        }
        let fields = self.fields.iter().flatten();
        wrong.extend(fields.filter_map(|name| unknown_column(name)));
        let unknown = |name: &&String| !redact::PERSONAL.contains(&name.as_str());
        let reveal = self.reveal.iter().filter(unknown).cloned();
        wrong.extend(reveal.map(ConfigError::Reveal));
        if self.client_cert_file.is_some() != self.client_key_file.is_some() {
            wrong.push(ConfigError::HalfIdentity);
        }
        if self.timeout.0 > LONGEST_TIMEOUT {
            wrong.push(ConfigError::Timeout);
        }
        if self.circuit.failures == 0 {
            wrong.push(ConfigError::Circuit);
        }
        wrong
    }
}

const STREAMS: [Stream; 4] = [
    Stream::Calls,
    Stream::Balances,
    Stream::Rates,
    Stream::Billing,
];

/// The problem with a column that no stream has.
fn unknown_column(name: &str) -> Option<ConfigError> {
    let known = || STREAMS.into_iter().flat_map(Stream::columns);
    if known().any(|column| column == name) {
        return None;
    }
    let written = name.to_lowercase();
    let likeness = |column| (strsim::jaro_winkler(&written, column), column);
    let closest = known()
        .map(likeness)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.75);
    Some(ConfigError::Field {
        name: name.to_owned(),
        hint: match closest {
            Some((_, column)) => format!("did you mean {column:?}?"),
            None => "docs/RECORDS.md lists them".to_owned(),
        },
    })
}
