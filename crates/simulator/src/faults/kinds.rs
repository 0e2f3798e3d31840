//! The faults: a table of all of them, and their settings.

use serde::{Deserialize, Serialize};

/// Declares [`Faults`]: each fault's name, type, example for `--fault`, and meaning.
macro_rules! faults {
    ($($name:ident: $type:ty, $example:literal, $meaning:literal;)*) => {
        /// The active faults; by default none.
        ///
        /// A fault of records selects them by seed and record, so that a record keeps its fault
        /// while the fault is active; a fault of requests selects them by seed and number of the
        /// request. `late` holds for calls that end while it is active. Late records that have
        /// appeared and edits that were made stay after the fault has ended.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Faults {
            $(#[doc = $meaning] pub $name: $type,)*
        }

        impl Faults {
            /// An example and the meaning of each fault.
            pub(super) const DESCRIPTIONS: &[(&str, &str)] = &[$(($example, $meaning),)*];

            /// Refuses a value out of bounds: returns the fault and what it must be.
            pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
                $(self.$name.check().map_err(|must| (stringify!($name), must))?;)*
                Ok(())
            }
        }
    };
}

faults! {
    late: Option<Late>, "late=0.05",
        "records appear up to {within_seconds: 3600} after the call's end";
    edits: Option<Edits>, "edits=0.1",
        "notes, flags, transfer and work times change up to {within_seconds: 3600} after the end";
    missing_numbers: Option<Share>, "missing_numbers=0.01",
        "one duration of a record is absent";
    misspelt_names: Option<Share>, "misspelt_names=0.01",
        "one duration's name is misspelt";
    nan: Option<Share>, "nan=0.01",
        "one duration is a bare NaN";
    repeats: Option<Share>, "repeats=0.5",
        "pages begin with the last record of the page before";
    shifts: Option<Shifts>, "shifts=0.5",
        "recent records ({recent_seconds: 600}) appear between two pages of a reading";
    one_based_pages: bool, "one_based_pages",
        "pages count from 1; page 0 is answered as page 1";
    page_size_limit: Option<u32>, "page_size_limit=100",
        "at most so many rows a page";
    totals: Option<Totals>, "totals=absent",
        "call pages without totals; `zero` for totals of 0";
    ignore_dates: bool, "ignore_dates",
        "the date filter of calls is ignored";
    latency: Option<Latency>, "latency='{\"ms\":250,\"jitter_ms\":500}'",
        "a wait before the answer";
    stall: Option<Stall>, "stall='{\"seconds\":60,\"rate\":0.1}'",
        "a pause in the middle of the body";
    disconnect: Option<Hit>, "disconnect=0.1",
        "the connection is closed instead of an answer";
    truncate: Option<Hit>, "truncate=0.1",
        "the connection is closed in the middle of the body";
    throttle: Option<Throttle>, "throttle='{\"retry_after\":2,\"rate\":0.2}'",
        "429, without retry_after no Retry-After";
    server_error: Option<ServerError>, "server_error='{\"status\":502,\"rate\":0.2}'",
        "a gateway's 5xx";
    html: Option<Hit>, "html=0.1",
        "an HTML page with status 200";
    echo: Option<Echo>, "echo='{\"encoding\":\"jsv\"}'",
        "an error that repeats the request, password included; jsv, json, url, base64";
    refuse_login: Option<RefusedLogin>, "refuse_login=security_exception",
        "or not_authenticated, or unauthorized (PortSIP)";
    expire_tokens: Option<Hit>, "expire_tokens=0.1",
        "the PBX forgets the token that a request carries";
    two_factor: bool, "two_factor",
        "the PBX asks for a second factor";
    deck_changes: Option<Hit>, "deck_changes=0.5",
        "a rate changes, comes or goes before the deck is read";
}

/// The bounds of a fault's members.
trait Bounds {
    /// Returns what a member must be, if it is out of bounds.
    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }
}

impl Bounds for bool {}
impl Bounds for Totals {}
impl Bounds for RefusedLogin {}

impl Bounds for u32 {
    fn check(&self) -> Result<(), &'static str> {
        ensure(*self > 0, "must be at least 1")
    }
}

impl<T: Bounds> Bounds for Option<T> {
    fn check(&self) -> Result<(), &'static str> {
        self.as_ref().map_or(Ok(()), T::check)
    }
}

impl Bounds for Share {
    fn check(&self) -> Result<(), &'static str> {
        check_rate(self.rate)
    }
}

impl Bounds for Late {
    fn check(&self) -> Result<(), &'static str> {
        check_rate(self.rate).and(check_seconds(self.within_seconds))
    }
}

impl Bounds for Edits {
    fn check(&self) -> Result<(), &'static str> {
        check_rate(self.rate).and(check_seconds(self.within_seconds))
    }
}

impl Bounds for Shifts {
    fn check(&self) -> Result<(), &'static str> {
        check_rate(self.rate).and(check_seconds(self.recent_seconds))
    }
}

impl Bounds for Hit {
    fn check(&self) -> Result<(), &'static str> {
        check_rate(self.rate)
    }
}

fn ensure(holds: bool, must: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(must) }
}

fn check_rate(rate: f64) -> Result<(), &'static str> {
    ensure((0.0..=1.0).contains(&rate), "rate must be from 0 to 1")
}

fn check_seconds(seconds: u32) -> Result<(), &'static str> {
    let must = "seconds must be from 1 to 2592000, which is 30 days";
    ensure((1..=30 * 86_400).contains(&seconds), must)
}

/// A share of all records.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Share {
    /// The share, from 0 to 1.
    pub rate: f64,
    /// Selects which.
    pub seed: u64,
}

impl Default for Share {
    fn default() -> Self {
        Self { rate: 1.0, seed: 0 }
    }
}

/// Records that appear late.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Late {
    /// The share of calls, from 0 to 1.
    pub rate: f64,
    /// Selects which, and how late each of them is.
    pub seed: u64,
    /// The longest delay after the end of the call, in simulated seconds, at most 30 days.
    pub within_seconds: u32,
}

impl Default for Late {
    fn default() -> Self {
        Self {
            rate: 1.0,
            seed: 0,
            within_seconds: 3_600,
        }
    }
}

/// Records that are edited.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Edits {
    /// The share of calls, from 0 to 1.
    pub rate: f64,
    /// Selects which, when, and what is edited.
    pub seed: u64,
    /// The longest delay after the end of the call, in simulated seconds, at most 30 days.
    pub within_seconds: u32,
}

impl Default for Edits {
    fn default() -> Self {
        Self {
            rate: 1.0,
            seed: 0,
            within_seconds: 3_600,
        }
    }
}

/// Records that appear between two pages while a reader reads them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shifts {
    /// The share of recent calls, from 0 to 1, that the first page does not have yet.
    pub rate: f64,
    /// Selects which, and on which of the next pages they appear.
    pub seed: u64,
    /// Calls are recent if they ended at most this many simulated seconds ago.
    pub recent_seconds: u32,
}

impl Default for Shifts {
    fn default() -> Self {
        Self {
            rate: 0.5,
            seed: 0,
            recent_seconds: 600,
        }
    }
}

/// Which requests are hit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hit {
    /// The share of requests, from 0 to 1.
    pub rate: f64,
    /// Selects which.
    pub seed: u64,
    /// The maximum number of requests since the fault was set.
    pub times: Option<u64>,
    /// Only requests whose path contains this.
    pub path: Option<String>,
}

impl Default for Hit {
    fn default() -> Self {
        Self {
            rate: 1.0,
            seed: 0,
            times: None,
            path: None,
        }
    }
}

/// Declares a fault of requests: the members of [`Hit`], its own members, and a bound on them.
macro_rules! request_fault {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$member_doc:meta])* $member:ident: $type:ty = $default:expr,)* }
        $($bound:expr => $must:literal)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$member_doc])* pub $member: $type,)*
            /// The share of requests, from 0 to 1.
            pub rate: f64,
            /// Selects which.
            pub seed: u64,
            /// The maximum number of requests since the fault was set.
            pub times: Option<u64>,
            /// Only requests whose path contains this.
            pub path: Option<String>,
        }

        impl Default for $name {
            fn default() -> Self {
                let Hit { rate, seed, times, path } = Hit::default();
                Self { $($member: $default,)* rate, seed, times, path }
            }
        }

        impl $name {
            pub(crate) fn hit(&self) -> Hit {
                Hit { rate: self.rate, seed: self.seed, times: self.times, path: self.path.clone() }
            }
        }

        impl Bounds for $name {
            fn check(&self) -> Result<(), &'static str> {
                check_rate(self.rate)$(.and(ensure(($bound)(self), $must)))?
            }
        }
    };
}

request_fault! {
    /// A wait before the answer.
    Latency {
        /// The wait, in (real) milliseconds.
        ms: u64 = 250,
        /// A random addition, up to this many milliseconds.
        jitter_ms: u64 = 0,
    }
}

request_fault! {
    /// A pause in the middle of the body.
    Stall {
        /// How long, in (real) seconds.
        seconds: u64 = 60,
    }
}

request_fault! {
    /// A 429.
    Throttle {
        /// The value of Retry-After in seconds; `None` sends no such header.
        retry_after: Option<u64> = None,
    }
}

request_fault! {
    /// A gateway's error.
    ServerError {
        /// The status, from 500 to 599.
        status: u16 = 503,
    }
    |fault: &ServerError| (500..=599).contains(&fault.status) => "status must be from 500 to 599"
}

request_fault! {
    /// An error that repeats the request.
    Echo {
        /// The format of the request in it.
        encoding: EchoEncoding = EchoEncoding::Jsv,
    }
}

/// The format in which an error repeats the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EchoEncoding {
    /// As ServiceStack does in debug mode.
    Jsv,
    /// As JSON within the JSON.
    Json,
    /// As the query of a URL.
    Url,
    /// In base64.
    Base64,
}

/// The totals of a page of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Totals {
    /// `TotalCount` and `TotalPages` are 0, as with DisableStats.
    Zero,
    /// They are absent.
    Absent,
}

/// The ways in which a login is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedLogin {
    /// HostedSuite: 500 with the code `SecurityException`.
    SecurityException,
    /// HostedSuite: `/api/authenticate` answers 200 with
    /// `Authenticated: false`, everything else as `SecurityException`.
    NotAuthenticated,
    /// PortSIP: 400 with the code `UNAUTHORIZED`.
    Unauthorized,
}
