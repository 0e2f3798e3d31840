//! The faults and what can be set on each.

use serde::{Deserialize, Serialize};

/// Which faults are in force; the default is none of them.
///
/// A share of records is chosen by seed and record, so a record keeps its fate
/// for as long as the fault lasts; a share of requests is chosen by seed and the
/// number of the request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Records that appear long after their call has ended. Holds for calls
    /// that end while it is set.
    pub late: Option<Late>,
    /// Records that are edited after they have appeared: notes, flags, and
    /// transfer and work times that grow. Edits made stay made.
    pub edits: Option<Edits>,
    /// Records of which one duration is absent.
    pub missing_numbers: Option<Share>,
    /// Records of which one duration's name is misspelt.
    pub misspelt_names: Option<Share>,
    /// Records of which one duration is a bare `NaN`, which is no JSON.
    pub nan: Option<Share>,
    /// Pages that begin with the last record of the page before.
    pub repeats: Option<Share>,
    /// Records that appear between two pages of the same reading.
    pub shifts: Option<Shifts>,
    /// Count pages from 1, and answer page 0 as if it were page 1.
    pub one_based_pages: bool,
    /// Give at most so many rows a page, whatever was asked for.
    pub page_size_limit: Option<u32>,
    /// Leave the totals of call pages out, or give them as 0.
    pub totals: Option<Totals>,
    /// Ignore StartDate and EndDate of calls.
    pub ignore_dates: bool,
    /// Wait before answering.
    pub latency: Option<Latency>,
    /// Send half of the body, and the rest only after a long pause.
    pub stall: Option<Stall>,
    /// Close the connection instead of answering.
    pub disconnect: Option<Hit>,
    /// Close the connection in the middle of the body.
    pub truncate: Option<Hit>,
    /// 429, with or without Retry-After.
    pub throttle: Option<Throttle>,
    /// A gateway's 5xx.
    pub server_error: Option<ServerError>,
    /// An HTML page with status 200.
    pub html: Option<Hit>,
    /// An error that repeats the whole request, password included.
    pub echo: Option<Echo>,
    /// Refuse every login, in one of the ways that occur.
    pub refuse_login: Option<RefusedLogin>,
    /// Forget the token that a request on the PBX carries.
    pub expire_tokens: Option<Hit>,
    /// Ask for a second factor when signing in at the PBX.
    pub two_factor: bool,
    /// Change, add or remove a rate before answering a request for the deck.
    pub deck_changes: Option<Hit>,
}

/// A share of all records.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Share {
    /// The share, from 0 to 1.
    pub rate: f64,
    /// Chooses which.
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
    /// Chooses which, and how late each of them is.
    pub seed: u64,
    /// The latest that one appears after its end, in simulated seconds, at
    /// most 30 days.
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
    /// Chooses which, when, and what is edited.
    pub seed: u64,
    /// The latest edit after a call's end, in simulated seconds, at most 30
    /// days.
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

/// Records that appear between two pages of the same reading.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shifts {
    /// The share of recent calls, from 0 to 1, that the first page of a
    /// reading does not know of yet.
    pub rate: f64,
    /// Chooses which, and on which of the next pages they appear.
    pub seed: u64,
    /// What is recent: calls that ended so many simulated seconds ago.
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
    /// Chooses which.
    pub seed: u64,
    /// No more than so many requests since it was set.
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

/// Declares a fault of requests: the members of [`Hit`] and some of its own.
macro_rules! request_fault {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[$member_doc])* pub $member: $type,)*
            /// The share of requests, from 0 to 1.
            pub rate: f64,
            /// Chooses which.
            pub seed: u64,
            /// No more than so many requests since it was set.
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
    };
}

request_fault! {
    /// A wait before the answer.
    Latency {
        /// The wait, in (real) milliseconds.
        ms: u64 = 250,
        /// Up to so many more.
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
        /// The Retry-After to send, in seconds; none without it.
        retry_after: Option<u64> = None,
    }
}

request_fault! {
    /// A gateway's error.
    ServerError {
        /// The status, from 500 to 599.
        status: u16 = 503,
    }
}

request_fault! {
    /// An error that repeats the request.
    Echo {
        /// How the request is written down in it.
        encoding: EchoEncoding = EchoEncoding::Jsv,
    }
}

/// How an error writes down the request that it repeats.
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

/// How the totals of a page of calls look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Totals {
    /// `TotalCount` and `TotalPages` are 0, as with DisableStats.
    Zero,
    /// They are left out.
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

impl Faults {
    /// Refuses what lies out of bounds: names the fault and says what it may be.
    pub(crate) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        const RATE: &str = "rate must be from 0 to 1";
        let rates = [
            ("late", self.late.map(|f| f.rate)),
            ("edits", self.edits.map(|f| f.rate)),
            ("missing_numbers", self.missing_numbers.map(|f| f.rate)),
            ("misspelt_names", self.misspelt_names.map(|f| f.rate)),
            ("nan", self.nan.map(|f| f.rate)),
            ("repeats", self.repeats.map(|f| f.rate)),
            ("shifts", self.shifts.map(|f| f.rate)),
            ("latency", self.latency.as_ref().map(|f| f.rate)),
            ("stall", self.stall.as_ref().map(|f| f.rate)),
            ("disconnect", self.disconnect.as_ref().map(|f| f.rate)),
            ("truncate", self.truncate.as_ref().map(|f| f.rate)),
            ("throttle", self.throttle.as_ref().map(|f| f.rate)),
            ("server_error", self.server_error.as_ref().map(|f| f.rate)),
            ("html", self.html.as_ref().map(|f| f.rate)),
            ("echo", self.echo.as_ref().map(|f| f.rate)),
            ("expire_tokens", self.expire_tokens.as_ref().map(|f| f.rate)),
            ("deck_changes", self.deck_changes.as_ref().map(|f| f.rate)),
        ];
        for (fault, rate) in rates {
            if rate.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
                return Err((fault, RATE));
            }
        }
        let delays = [
            ("late", self.late.map(|f| f.within_seconds)),
            ("edits", self.edits.map(|f| f.within_seconds)),
            ("shifts", self.shifts.map(|f| f.recent_seconds)),
        ];
        for (fault, seconds) in delays {
            if seconds.is_some_and(|seconds| !(1..=30 * 86_400).contains(&seconds)) {
                return Err((fault, "seconds must be from 1 to 2592000, which is 30 days"));
            }
        }
        if self.page_size_limit == Some(0) {
            return Err(("page_size_limit", "must be at least 1"));
        }
        let status = self.server_error.as_ref().map(|fault| fault.status);
        if status.is_some_and(|status| !(500..=599).contains(&status)) {
            return Err(("server_error", "status must be from 500 to 599"));
        }
        Ok(())
    }
}
