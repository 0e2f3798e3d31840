//! The validated configuration. Only [`load`](super::load) creates it: every value is in range,
//! every path is absolute or relative to the working directory, and secrets are named, not
//! contained.

use std::path::PathBuf;
use std::time::Duration;

use callmeter_meter::View;
use callmeter_records::Stream;
use jiff::tz::TimeZone;
use url::Url;

use super::charge_model::Charging;
use super::journal_place::JournalPlace;
use super::output_from::OutputFrom;
use super::secret::SecretSource;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The accounts, in the file's order, names unique.
    pub accounts: Vec<Account>,
    /// What calls cost, in the file's order, names unique.
    pub charges: Vec<Charging>,
    /// The journal.
    pub journal: Journal,
    /// The outputs, in the file's order, names unique.
    pub outputs: Vec<Output>,
    /// What is counted and shown.
    pub metrics: Metrics,
}

impl Config {
    /// What is configured, in a few words.
    pub fn summary(&self) -> String {
        let count = |number: usize, word: &str| match number {
            1 => format!("1 {word}"),
            number => format!("{number} {word}s"),
        };
        format!(
            "{}, {}",
            count(self.accounts.len(), "account"),
            count(self.outputs.len(), "output")
        )
    }
}

/// One account at one API.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// The name that labels its series.
    pub name: String,
    /// Its API: how it is reached and what is read.
    pub api: Api,
}

/// The API of an account.
#[derive(Debug, Clone, PartialEq)]
pub enum Api {
    /// HostedSuite: calls, allowance balances, the client list.
    HostedSuite(HostedSuite),
    /// PortSIP PBX: billing settings, balance, call rates.
    PortSip(PortSip),
}

impl Api {
    /// Which API it is.
    pub fn kind(&self) -> callmeter_meter::Api {
        match self {
            Self::HostedSuite(_) => callmeter_meter::Api::HostedSuite,
            Self::PortSip(_) => callmeter_meter::Api::PortSip,
        }
    }

    /// How it is reached.
    pub fn link(&self) -> &Link {
        match self {
            Self::HostedSuite(api) => &api.link,
            Self::PortSip(api) => &api.link,
        }
    }
}

/// What both APIs need to be reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Base address, with the path of the API.
    pub url: Url,
    /// The user who signs in.
    pub username: String,
    /// Where the password is read. It is read for every request, at most once a second.
    pub password: SecretSource,
    /// How the server's certificate is checked.
    pub tls: Tls,
    /// The proxy through which it is reached.
    pub proxy: Proxy,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest time for a response.
    pub timeout: Duration,
    /// Largest response that is read, in bytes after decompression.
    pub max_body: u64,
    /// Consecutive failures after which the gauges of the last successful poll are not shown.
    pub stale_after: u32,
}

/// How a server's certificate is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Further certificate authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// The name that the certificate must have, if it is not the host of the address.
    pub server_name: Option<String>,
    /// The certificate is not checked. Each start warns about it.
    pub insecure_skip_verify: bool,
}

/// The proxy through which a server is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Proxy {
    /// None.
    #[default]
    None,
    /// The one that the environment names (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`).
    Environment,
    /// This one.
    Url(api_client::Proxy),
}

/// An account at HostedSuite.
#[derive(Debug, Clone, PartialEq)]
pub struct HostedSuite {
    /// Address, credentials, time limits.
    pub link: Link,
    /// The HostedSuite customer name.
    pub customer: String,
    /// The zone of the times that the server writes without one.
    pub time_zone: TimeZone,
    /// The format of the responses.
    pub format: Format,
    /// How calls are polled; `None` if they are not.
    pub calls: Option<Calls>,
    /// How allowance balances are polled; `None` if they are not.
    pub balances: Option<Balances>,
    /// How the client list is polled; `None` if it is not.
    pub clients: Option<Clients>,
}

/// The format of HostedSuite's responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, which the vendor supports.
    Json,
    /// ServiceStack's JSV.
    Jsv,
}

/// How calls are polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// Time between the starts of two polls.
    pub every: Duration,
    /// How far behind the watermark a poll reads again, for late and edited calls.
    pub lookback: Duration,
    /// How far back the very first poll reads; no less than `lookback`.
    pub history: Duration,
    /// How long after its end a call counts.
    pub settle: Duration,
    /// Rows requested per page.
    pub page_size: u32,
    /// The number of the first page; `None` to detect it.
    pub page_base: Option<u32>,
    /// Maximum pages of one day.
    pub max_pages: u32,
    /// Maximum rows of one day.
    pub max_rows: u64,
    /// Longest time of one poll.
    pub time_limit: Duration,
    /// Whether new calls are looked for at the end of the list, and whole days are read from time
    /// to time. Otherwise every poll reads all days of the lookback.
    pub tail: bool,
    /// Time between two readings of today as a whole; older days are read less often.
    pub audit: Duration,
    /// Maximum requests for calls in a minute.
    pub max_requests_per_minute: u32,
}

/// How allowance balances are polled. The server silently ignores invalid parameters, so they are
/// checked here.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are parameters of the API"
)]
pub struct Balances {
    /// Time between the starts of two polls.
    pub every: Duration,
    /// The day of the month on which a billing period starts, 1 to 28.
    pub period_start_day: i8,
    /// Bill hold time.
    pub bill_hold: bool,
    /// Bill talk time.
    pub bill_talk: bool,
    /// Bill transfer time.
    pub bill_transfer: bool,
    /// Bill ring time.
    pub bill_ring: bool,
    /// How each call's billed time is rounded.
    pub rounding: Rounding,
    /// Talk time below which calls are not billed.
    pub min_call_duration: Option<Duration>,
    /// Talk time above which calls are not billed.
    pub max_call_duration: Option<Duration>,
}

/// How HostedSuite rounds a call's billed time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the second.
    None,
    /// Up to the next minute.
    NextMinute,
    /// Up to the next half minute.
    Next30Seconds,
}

/// How the client list is polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients {
    /// Time between the starts of two polls.
    pub every: Duration,
}

/// A tenant at a PortSIP PBX.
#[derive(Debug, Clone, PartialEq)]
pub struct PortSip {
    /// Address, credentials, time limits.
    pub link: Link,
    /// The tenant's SIP domain; `None` for a user without a tenant.
    pub domain: Option<String>,
    /// How billing settings and balance are polled; `None` if they are not.
    pub billing: Option<Billing>,
    /// How the rate deck is polled; `None` if it is not.
    pub rates: Option<Rates>,
}

/// How billing settings and balance are polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Billing {
    /// Time between the starts of two polls.
    pub every: Duration,
}

/// How the rate deck is polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rates {
    /// Time between the starts of two polls.
    pub every: Duration,
    /// Largest export that is read, in bytes after decompression.
    pub max_export: u64,
}

/// The journal: where it is and what it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Where it is.
    pub place: JournalPlace,
    /// Age after which batches are removed.
    pub keep: Duration,
    /// Size above which the oldest batches are removed, in bytes.
    pub max_bytes: u64,
    /// Whether batches are removed that an output has not acknowledged.
    pub drop_undelivered: bool,
}

/// Where a plugin's code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// In a child process, whose crash does not stop the exporter.
    Process,
    /// In the process of the exporter.
    None,
}

/// An output: a plugin and its configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The name that labels its series.
    pub name: String,
    /// The library.
    pub plugin: PathBuf,
    /// The streams it gets.
    pub streams: Vec<Stream>,
    /// The plugin's settings, without the values of secrets.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Where its code runs.
    pub isolation: Isolation,
    /// The SHA-256 digest that the library must have, in lower-case hex.
    pub sha256: Option<String>,
    /// Where it starts if it is new.
    pub from: OutputFrom,
    /// The directory of the batches that it rejects permanently.
    pub dead_letters: PathBuf,
}

/// What is counted and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Maximum label sets per family and account; the rest is folded into one.
    pub max_label_sets: usize,
    /// Whether OpenMetrics responses contain `_created` samples.
    pub created_timestamps: bool,
    /// A call that nobody answered is abandoned if it rang longer.
    pub short_abandon: Duration,
    /// Whether calls are counted by who answered them.
    pub answered_by: bool,
    /// What of the figures is shown.
    pub view: View,
}
