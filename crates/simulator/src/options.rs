//! The options of a simulator.

use std::net::{Ipv4Addr, SocketAddr};

use clap::{ArgAction, Args, Parser, ValueEnum};
use jiff::Timestamp;

use crate::clock::check_speed;
use crate::error::SimulatorError;
use crate::faults::Faults;

/// The world and the servers in front of it. The same options give the same world, to the byte,
/// when `start` is given.
#[derive(Clone, Debug, Parser)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
#[command(next_help_heading = "The world")]
pub struct Options {
    /// Seed of everything random: the same seed and start give the same world
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Clients of the HostedSuite customer, 1 to 100,000
    #[arg(long, default_value_t = 40)]
    pub clients: u32,
    /// Centers that the clients belong to, 1 to 1,000
    #[arg(long, default_value_t = 3)]
    pub centers: u32,
    /// Exactly this many calls, spread over --days and all ended at the start
    #[arg(long, value_name = "N")]
    pub calls: Option<u64>,
    /// Calls of a working day of average load [default: 2000; 0 with --calls]
    #[arg(long, value_name = "N")]
    pub calls_per_day: Option<u64>,
    /// Days of history before the start, 1 to 3,660
    #[arg(long, default_value_t = 7)]
    pub days: u32,
    /// Simulated seconds per second, up to 1,000,000; a call appears when it has ended
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
    /// Where the simulated clock starts, such as 2026-08-06T08:45:00Z [default: now; a day ago when
    /// --speed is above 1]
    #[arg(long, value_name = "TIME")]
    pub start: Option<Timestamp>,
    /// Let the simulated clock run ahead of the real one instead of slowing down to its speed
    #[arg(long)]
    pub ahead: bool,
    /// IANA time zone of the dates that HostedSuite reads and writes without a zone
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    pub time_zone: String,
    /// Calls start at milliseconds, which are written, instead of at whole seconds
    #[arg(long)]
    pub fractions: bool,
    /// Whether the newest calls come first if a request names no sort field; on the command line,
    /// --oldest-first makes it false.
    #[arg(
        long = "oldest-first",
        action = ArgAction::SetFalse,
        help = "Return the oldest calls first if a request names no sort field",
        long_help = None
    )]
    pub newest_first: bool,
    /// Prefixes in the PBX's rate deck, up to 1,000,000; 300000 is what a large carrier has
    #[arg(long, default_value_t = 2_000)]
    pub rates: u32,
    /// Where HostedSuite listens; port 0 lets the system choose
    #[arg(long, default_value = "127.0.0.1:10180", value_name = "ADDRESS", help_heading = SERVERS)]
    pub listen: SocketAddr,
    /// Where the PBX listens; port 0 lets the system choose
    #[arg(long, default_value = "127.0.0.1:10181", value_name = "ADDRESS", help_heading = SERVERS)]
    pub listen_portsip: SocketAddr,
    /// Use TLS with a self-signed certificate: on the PBX, or on both servers
    #[arg(
        long,
        value_name = "WHO",
        num_args = 0..=1,
        require_equals = true,
        default_value = "off",
        default_missing_value = "portsip",
        help_heading = SERVERS
    )]
    pub tls: Tls,
    /// Answer 403 to every write on the PBX but the login, and count it
    #[arg(long, help_heading = SERVERS)]
    pub require_get_only: bool,
    /// Logins that the PBX supports
    #[arg(long, default_value = "both", value_name = "WHICH", help_heading = SERVERS)]
    pub sign_in: SignIn,
    /// Lifetime of the PBX's tokens, in real seconds
    #[arg(long, default_value_t = 1_800, help_heading = SERVERS)]
    pub token_seconds: u64,
    /// The credentials that the servers accept.
    #[command(flatten)]
    pub credentials: Credentials,
    /// The faults that are active at the start.
    #[arg(skip)]
    pub faults: Faults,
}

const SERVERS: &str = "The servers";

/// The defaults of the command line, on ports that the system chooses.
impl Default for Options {
    fn default() -> Self {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: local,
            listen_portsip: local,
            ..Self::parse_from([""])
        }
    }
}

/// The credentials of both servers.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// HostedSuite's three, which every request carries in its body.
    #[command(flatten)]
    pub hostedsuite: HostedSuiteLogin,
    /// PortSIP's, which are exchanged for a token.
    #[command(flatten)]
    pub portsip: PortSipLogin,
}

impl Default for Credentials {
    fn default() -> Self {
        Options::default().credentials
    }
}

/// HostedSuite's credentials.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(next_help_heading = "The logins")]
pub struct HostedSuiteLogin {
    /// HostedSuite's CustomerName, compared without case
    #[arg(long, default_value = "Acme")]
    pub customer: String,
    /// HostedSuite's UserName, compared without case
    #[arg(long, default_value = "exporter")]
    pub username: String,
    /// HostedSuite's Password
    #[arg(long, default_value = "simulated")]
    pub password: String,
}

impl Default for HostedSuiteLogin {
    fn default() -> Self {
        Credentials::default().hostedsuite
    }
}

/// PortSIP's credentials.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(next_help_heading = "The logins")]
pub struct PortSipLogin {
    /// The PBX's username
    #[arg(
        long = "portsip-username",
        id = "portsip_username",
        value_name = "USERNAME",
        default_value = "billing"
    )]
    pub username: String,
    /// The PBX's password
    #[arg(
        long = "portsip-password",
        id = "portsip_password",
        value_name = "PASSWORD",
        default_value = "simulated"
    )]
    pub password: String,
    /// The tenant's SIP domain, which the login must name
    #[arg(long = "portsip-domain", default_value = "pbx.example.com")]
    pub domain: String,
}

impl Default for PortSipLogin {
    fn default() -> Self {
        Credentials::default().portsip
    }
}

/// The logins that the PBX supports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SignIn {
    /// `/api/auth/sign_in` with JSON, of 22.x
    Json,
    /// `/api/login/oauth/token` with a form, of the versions before
    Form,
    /// Both of them
    #[default]
    Both,
}

/// Which servers speak TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Tls {
    /// Neither
    #[default]
    Off,
    /// The PBX, as it does after installation
    #[value(name = "portsip")]
    PortSip,
    /// HostedSuite too
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
