//! The options of a simulator.

use std::net::{Ipv4Addr, SocketAddr};

use jiff::Timestamp;

use crate::clock::check_speed;
use crate::error::SimulatorError;
use crate::faults::Faults;

/// The world and the servers in front of it. The same options give the same
/// world, to the byte, when `start` is given.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seed of everything random.
    pub seed: u64,
    /// Clients of the HostedSuite customer, 1 to 100,000.
    pub clients: u32,
    /// Centers that the clients belong to, 1 to 1,000.
    pub centers: u32,
    /// Exactly so many calls, all of them ended before `start`. None: as
    /// `calls_per_day` says.
    pub calls: Option<u64>,
    /// Calls of a working day of average load, before `start` and after it.
    /// None: 2,000, or no further calls after `start` when `calls` is given.
    pub calls_per_day: Option<u64>,
    /// Days of history before `start`, 1 to 3,660.
    pub days: u32,
    /// Simulated seconds per second, above 0 and at most 1,000,000.
    pub speed: f64,
    /// Where the simulated clock starts. None: now, or a day ago when `speed`
    /// is above 1, so that there is something to catch up with.
    pub start: Option<Timestamp>,
    /// Let the simulated clock overtake the real one. Otherwise it catches up
    /// with the present and goes on at the speed of the present.
    pub ahead: bool,
    /// The IANA time zone of the dates that HostedSuite reads and writes,
    /// which carry none.
    pub time_zone: String,
    /// Give the newest calls first where a request names no sort field.
    pub newest_first: bool,
    /// Prefixes in the PBX's rate deck, up to 1,000,000.
    pub rates: u32,
    /// The credentials that the servers accept.
    pub credentials: Credentials,
    /// The logins that the PBX supports.
    pub sign_in: SignIn,
    /// Lifetime of the PBX's tokens, in (real) seconds.
    pub token_seconds: u64,
    /// Answer 403 to every write on the PBX but the login itself, and count it.
    pub require_get_only: bool,
    /// Where HostedSuite listens; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where the PBX listens; port 0 lets the system choose.
    pub listen_portsip: SocketAddr,
    /// Which of the two speaks TLS, with a certificate signed by itself.
    pub tls: Tls,
    /// The faults that are active at the start.
    pub faults: Faults,
}

impl Default for Options {
    fn default() -> Self {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            seed: 1,
            clients: 40,
            centers: 3,
            calls: None,
            calls_per_day: None,
            days: 7,
            speed: 1.0,
            start: None,
            ahead: false,
            time_zone: "UTC".to_owned(),
            newest_first: true,
            rates: 2_000,
            credentials: Credentials::default(),
            sign_in: SignIn::Both,
            token_seconds: 1_800,
            require_get_only: false,
            listen: local,
            listen_portsip: local,
            tls: Tls::Off,
            faults: Faults::default(),
        }
    }
}

/// The credentials of both servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// HostedSuite's three, which every request carries in its body.
    pub hostedsuite: HostedSuiteLogin,
    /// PortSIP's, which are exchanged for a token.
    pub portsip: PortSipLogin,
}

/// HostedSuite's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostedSuiteLogin {
    /// `CustomerName`, compared without case.
    pub customer: String,
    /// `UserName`, compared without case.
    pub username: String,
    /// `Password`.
    pub password: String,
}

impl Default for HostedSuiteLogin {
    fn default() -> Self {
        Self {
            customer: "Acme".to_owned(),
            username: "exporter".to_owned(),
            password: "simulated".to_owned(),
        }
    }
}

/// PortSIP's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSipLogin {
    /// `username`.
    pub username: String,
    /// `password`.
    pub password: String,
    /// The tenant's SIP domain, which the login must name.
    pub domain: String,
}

impl Default for PortSipLogin {
    fn default() -> Self {
        Self {
            username: "billing".to_owned(),
            password: "simulated".to_owned(),
            domain: "pbx.example.com".to_owned(),
        }
    }
}

/// The logins that the PBX supports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignIn {
    /// `/api/auth/sign_in` with JSON, of 22.x.
    Json,
    /// `/api/login/oauth/token` with a form, of the versions before.
    Form,
    /// Both of them.
    #[default]
    Both,
}

/// Which servers speak TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tls {
    /// Neither.
    #[default]
    Off,
    /// The PBX, as it does after installation.
    PortSip,
    /// HostedSuite too.
    All,
}

impl Options {
    /// Calls of a working day of average load.
    pub(crate) fn calls_per_day(&self) -> u64 {
        let default = if self.calls.is_some() { 0 } else { 2_000 };
        self.calls_per_day.unwrap_or(default)
    }

    /// Refuses options that are out of bounds.
    pub(crate) fn check(&self) -> Result<(), SimulatorError> {
        let bounds = [
            (
                "--clients",
                u64::from(self.clients),
                1,
                100_000,
                "from 1 to 100000",
            ),
            (
                "--centers",
                u64::from(self.centers),
                1,
                1_000,
                "from 1 to 1000",
            ),
            (
                "--calls",
                self.calls.unwrap_or(0),
                0,
                20_000_000,
                "at most 20000000",
            ),
            (
                "--calls-per-day",
                self.calls_per_day.unwrap_or(0),
                0,
                5_000_000,
                "at most 5000000",
            ),
            ("--days", u64::from(self.days), 1, 3_660, "from 1 to 3660"),
            (
                "--rates",
                u64::from(self.rates),
                0,
                1_000_000,
                "at most 1000000",
            ),
            (
                "--token-seconds",
                self.token_seconds,
                1,
                86_400,
                "from 1 to 86400",
            ),
        ];
        for (option, value, least, most, must) in bounds {
            if !(least..=most).contains(&value) {
                return Err(SimulatorError::Option {
                    option,
                    value: value.to_string(),
                    must,
                });
            }
        }
        self.faults
            .check()
            .map_err(|(fault, must)| SimulatorError::Option {
                option: "--fault",
                value: fault.to_owned(),
                must,
            })?;
        check_speed(self.speed)
    }
}
