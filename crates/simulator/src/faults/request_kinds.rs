//! The settings of the faults that hit requests.

use serde::{Deserialize, Serialize};

use super::bounds::{Bounds, check_rate, ensure};

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

impl Bounds for Hit {
    fn check(&self) -> Result<(), &'static str> {
        check_rate(self.rate)
    }
}

/// Declares a fault of requests: the members of [`Hit`], its own members, and a bound on them.
macro_rules! request_fault {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$member_doc:meta])* $member:ident: $type:ty = $default:expr,)* }
        $($bound:expr => $must:expr)?
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

request_fault! {
    /// One page of the list of calls fails.
    FailedPage {
        /// The page, as the request numbers it.
        page: u32 = 0,
        /// The status, from 400 to 599.
        status: u16 = 500,
    }
    |fault: &FailedPage| is_error(fault.status) => IS_ERROR
}

request_fault! {
    /// Calls of one day cannot be read.
    FailedDay {
        /// The day, in the zone in which the server filters.
        day: Option<jiff::civil::Date> = None,
        /// The status, from 400 to 599.
        status: u16 = 500,
    }
    |fault: &FailedDay| is_error(fault.status) && fault.day.is_some() => DAY_IS_ERROR
}

const IS_ERROR: &str = "status must be from 400 to 599";
const DAY_IS_ERROR: &str = "day must be given, and status must be from 400 to 599";

fn is_error(status: u16) -> bool {
    (400..=599).contains(&status)
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

impl Bounds for RefusedLogin {}
