//! The validated configuration: the only one that can be passed on. It is made by
//! [`load`](super::load) alone, every value is in range, every path absolute or relative to the
//! working directory, and it holds no secret, only where secrets are read.

use std::path::PathBuf;
use std::time::Duration;

use callmeter_records::Stream;
use jiff::tz::TimeZone;
use url::Url;

use super::secret::SecretSource;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The accounts, in the file's order, names unique.
    pub accounts: Vec<Account>,
    /// Where the journal lies and how long it keeps.
    pub journal: Journal,
    /// The outputs, in the file's order, names unique.
    pub outputs: Vec<Output>,
    /// Limits and options of what is published.
    pub metrics: Metrics,
}

/// One account at one API.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// The name that labels its series.
    pub name: String,
    /// How its API is reached and what is asked of it.
    pub api: Api,
}

/// Which API an account speaks.
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
    /// Base address, ending in the API's own path.
    pub url: Url,
    /// Who signs in.
    pub username: String,
    /// Where the password is read, again whenever it changes.
    pub password: SecretSource,
    /// How the server's certificate is checked.
    pub tls: Tls,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for a whole answer.
    pub timeout: Duration,
    /// Largest answer that is read, in bytes after decompression.
    pub max_body: u64,
    /// Failed polls in a row after which the account's gauges vanish.
    pub stale_after: u32,
}

/// How a server's certificate is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Further certificate authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// The name that the certificate must carry, where it is not the address's host.
    pub server_name: Option<String>,
    /// No check at all; warned about at each start.
    pub insecure_skip_verify: bool,
}

/// An account at HostedSuite.
#[derive(Debug, Clone, PartialEq)]
pub struct HostedSuite {
    /// Address, credentials, time-outs.
    pub link: Link,
    /// The HostedSuite customer name.
    pub customer: String,
    /// The zone in which the server writes times without one.
    pub time_zone: TimeZone,
    /// The encoding of the answers.
    pub format: Format,
    /// How calls are read; nothing when they are not.
    pub calls: Option<Calls>,
    /// How allowance balances are read; nothing when they are not.
    pub balances: Option<Balances>,
    /// How often the client list is read; nothing when it is not.
    pub clients: Option<Clients>,
}

/// The encoding of HostedSuite's answers.
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
    /// How far behind the watermark is read again, for late and edited calls.
    pub lookback: Duration,
    /// How far back the first poll of all reaches; no less than `lookback`.
    pub history: Duration,
    /// The age of a call's end before which it is not yet counted.
    pub settle: Duration,
    /// Rows asked for per page.
    pub page_size: u32,
    /// The number of the first page, where the configuration knows it.
    pub page_base: Option<u32>,
    /// Pages read of one day at most.
    pub max_pages: u32,
    /// Rows read in one day's window at most.
    pub max_rows: u64,
    /// Time that one poll may take.
    pub time_limit: Duration,
}

/// How allowance balances are polled. Flags and rounding are checked here, because the server
/// silently ignores what it cannot read.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the API's own switches"
)]
pub struct Balances {
    /// Time between the starts of two polls.
    pub every: Duration,
    /// The day of the month on which a billing period starts, 1 to 28.
    pub period_start_day: i8,
    /// Bill the time on hold.
    pub bill_hold: bool,
    /// Bill the time in talk.
    pub bill_talk: bool,
    /// Bill the time in transfer.
    pub bill_transfer: bool,
    /// Bill the time of ringing.
    pub bill_ring: bool,
    /// How each call's billed time is rounded.
    pub rounding: Rounding,
    /// Talk time below which a call is not billed.
    pub min_call_duration: Option<Duration>,
    /// Talk time above which a call is not billed.
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
    /// Address, credentials, time-outs.
    pub link: Link,
    /// The tenant's SIP domain; nothing for a user who belongs to none.
    pub domain: Option<String>,
    /// How often billing settings and balance are read; nothing when they are not.
    pub billing: Option<Billing>,
    /// How the rate deck is read; nothing when it is not.
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

/// Where the journal lies and what it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// The database file.
    pub path: PathBuf,
    /// Age after which batches may go.
    pub keep: Duration,
    /// Size beyond which the oldest batches may go, in bytes.
    pub max_bytes: u64,
    /// Whether batches may go that an output has not yet acknowledged.
    pub drop_undelivered: bool,
}

/// Where an output begins that the journal has not met before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFrom {
    /// With all that the journal keeps.
    Oldest,
    /// With what comes after it was configured.
    Now,
}

/// Where a plugin's code runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// In a child process, whose end does not end the exporter.
    Process,
    /// In the exporter's own process.
    None,
}

/// One output: a plugin with its configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The name that labels its series.
    pub name: String,
    /// The library.
    pub plugin: PathBuf,
    /// What it is given.
    pub streams: Vec<Stream>,
    /// The plugin's own configuration, secrets not yet read.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Where its code runs.
    pub isolation: Isolation,
    /// The digest that the library must have, lower-case hex.
    pub sha256: Option<String>,
    /// Where it begins when it is new.
    pub from: OutputFrom,
    /// The directory under which batches go that it refuses for good.
    pub dead_letters: PathBuf,
}

/// Limits and options of what is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Label sets a family may have; the rest is folded into one.
    pub max_label_sets: usize,
    /// Whether OpenMetrics answers carry `_created` samples.
    pub created_timestamps: bool,
}
