//! The command line.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, ValueEnum};
use jiff::Timestamp;

use callmeter_simulator::{
    Credentials, Faults, FaultsError, HostedSuiteLogin, LedgerQuery, Options, PortSipLogin,
    Running, SignIn, Tls, describe_faults,
};

/// A HostedSuite host and a PortSIP PBX that exist on this machine only.
///
/// Both answer as the real ones do, over a world that is computed from a seed.
/// HostedSuite is under /api of the first address, the PBX under /api of the
/// second (and, in plain HTTP, under /portsip/api of the first).
#[derive(Debug, Parser)]
#[command(name = "callmeter-simulator", version, after_long_help = after_help())]
pub(crate) struct Arguments {
    #[command(flatten)]
    world: World,
    #[command(flatten)]
    servers: Servers,
    #[command(flatten)]
    logins: Logins,
    /// Start with a fault; may be given several times. See below
    #[arg(long = "fault", value_name = "NAME[=VALUE]", help_heading = "Faults")]
    faults: Vec<String>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "The world")]
struct World {
    /// Seed of everything random: the same seed and start give the same world
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Clients of the HostedSuite customer
    #[arg(long, default_value_t = 40)]
    clients: u32,
    /// Centers that the clients belong to
    #[arg(long, default_value_t = 3)]
    centers: u32,
    /// Calls of a working day of average load [default: 2000; 0 with --calls]
    #[arg(long, value_name = "N")]
    calls_per_day: Option<u64>,
    /// Exactly this many calls, spread over --days and all ended at the start
    #[arg(long, value_name = "N")]
    calls: Option<u64>,
    /// Days of history before the start
    #[arg(long, default_value_t = 7)]
    days: u32,
    /// Simulated seconds per second; a call appears when it has ended
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Where the simulated clock starts, such as 2026-08-06T08:45:00Z [default: now; a day ago when --speed is above 1]
    #[arg(long, value_name = "TIME")]
    start: Option<Timestamp>,
    /// Let the simulated clock run ahead of the real one instead of slowing down to its speed
    #[arg(long)]
    ahead: bool,
    /// IANA time zone of the dates that HostedSuite reads and writes without a zone
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    time_zone: String,
    /// Return the oldest calls first if a request names no sort field
    #[arg(long)]
    oldest_first: bool,
    /// Prefixes in the PBX's rate deck; 300000 is what a large carrier has
    #[arg(long, default_value_t = 2_000)]
    rates: u32,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "The servers")]
struct Servers {
    /// Where HostedSuite listens
    #[arg(long, default_value = "127.0.0.1:10180", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where the PBX listens
    #[arg(long, default_value = "127.0.0.1:10181", value_name = "ADDRESS")]
    listen_portsip: SocketAddr,
    /// Use TLS with a self-signed certificate: on the PBX, or on both servers
    #[arg(
        long,
        value_name = "WHO",
        num_args = 0..=1,
        require_equals = true,
        default_value = "off",
        default_missing_value = "portsip"
    )]
    tls: TlsArgument,
    /// Write that certificate to a file, for clients to trust
    #[arg(long, value_name = "FILE")]
    write_certificate: Option<PathBuf>,
    /// Answer 403 to every write on the PBX but the login, and count it
    #[arg(long)]
    require_get_only: bool,
    /// Logins that the PBX supports: JSON (22.x), the older form, or both
    #[arg(long, default_value = "both", value_name = "WHICH")]
    sign_in: SignInArgument,
    /// Lifetime of the PBX's tokens, in real seconds
    #[arg(long, default_value_t = 1_800)]
    token_seconds: u64,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "The logins")]
struct Logins {
    /// HostedSuite's CustomerName
    #[arg(long, default_value_t = HostedSuiteLogin::default().customer)]
    customer: String,
    /// HostedSuite's UserName
    #[arg(long, default_value_t = HostedSuiteLogin::default().username)]
    username: String,
    /// HostedSuite's Password
    #[arg(long, default_value_t = HostedSuiteLogin::default().password)]
    password: String,
    /// The PBX's username
    #[arg(long, default_value_t = PortSipLogin::default().username)]
    portsip_username: String,
    /// The PBX's password
    #[arg(long, default_value_t = PortSipLogin::default().password)]
    portsip_password: String,
    /// The tenant's SIP domain
    #[arg(long, default_value_t = PortSipLogin::default().domain)]
    portsip_domain: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TlsArgument {
    Off,
    Portsip,
    All,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SignInArgument {
    Json,
    Form,
    Both,
}

impl Arguments {
    pub(crate) fn options(&self) -> Result<Options, FaultsError> {
        let mut faults = Faults::default();
        for word in &self.faults {
            faults.merge_word(word)?;
        }
        let Self {
            world,
            servers,
            logins,
            ..
        } = self;
        Ok(Options {
            seed: world.seed,
            clients: world.clients,
            centers: world.centers,
            calls: world.calls,
            calls_per_day: world.calls_per_day,
            days: world.days,
            speed: world.speed,
            start: world.start,
            ahead: world.ahead,
            time_zone: world.time_zone.clone(),
            newest_first: !world.oldest_first,
            rates: world.rates,
            credentials: Credentials {
                hostedsuite: HostedSuiteLogin {
                    customer: logins.customer.clone(),
                    username: logins.username.clone(),
                    password: logins.password.clone(),
                },
                portsip: PortSipLogin {
                    username: logins.portsip_username.clone(),
                    password: logins.portsip_password.clone(),
                    domain: logins.portsip_domain.clone(),
                },
            },
            sign_in: match servers.sign_in {
                SignInArgument::Json => SignIn::Json,
                SignInArgument::Form => SignIn::Form,
                SignInArgument::Both => SignIn::Both,
            },
            token_seconds: servers.token_seconds,
            require_get_only: servers.require_get_only,
            listen: servers.listen,
            listen_portsip: servers.listen_portsip,
            tls: match servers.tls {
                TlsArgument::Off => Tls::Off,
                TlsArgument::Portsip => Tls::PortSip,
                TlsArgument::All => Tls::All,
            },
            faults,
        })
    }

    /// Writes the certificate where it was asked for.
    pub(crate) fn write_certificate(&self, running: &Running) -> Option<std::io::Result<()>> {
        let path = self.servers.write_certificate.as_ref()?;
        let pem = running.certificate().unwrap_or_default();
        Some(std::fs::write(path, pem).map_err(|error| {
            std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        }))
    }
}

/// Prints why the program ends to standard error.
pub(crate) fn fail(reason: &dyn Display) -> ExitCode {
    eprintln!("callmeter-simulator: {reason}");
    ExitCode::FAILURE
}

/// Prints the addresses and credentials to standard output.
pub(crate) fn introduce(running: &Running) {
    let Credentials {
        hostedsuite,
        portsip,
    } = &running.options().credentials;
    let ledger = running.ledger(&LedgerQuery {
        without_ids: true,
        ..LedgerQuery::default()
    });
    println!(
        "HostedSuite  {}  customer {:?}, user {:?}, password {:?}",
        running.hostedsuite_url(),
        hostedsuite.customer,
        hostedsuite.username,
        hostedsuite.password
    );
    println!(
        "PortSIP PBX  {}  domain {:?}, user {:?}, password {:?}",
        running.portsip_url(),
        portsip.domain,
        portsip.username,
        portsip.password
    );
    println!(
        "Control      {}/ledger, /faults, /clock, /requests",
        running.control_url()
    );
    println!(
        "The simulated time is {}; {} calls have ended, the deck has {} rates.",
        ledger.now, ledger.total.calls, ledger.portsip.rates
    );
}

fn after_help() -> String {
    format!(
        "\
Faults, for --fault or, by name, for POST /_sim/faults:
{}
  A bare number is a rate: the share of records or requests, from 0 to 1. A fault
  of requests also takes \"seed\", \"times\" (no more than so many) and \"path\" (only
  paths that contain it); one of records takes \"seed\". Default is rate 1.

Control, on either address:
  GET  /_sim/ledger           what a reader that counted each call once must have;
                              ?settled_before=TIME&started_after=TIME&ids=false
  GET  /_sim/faults           POST {{\"late\": 0.1, \"html\": null}} changes some,
                              DELETE ends all
  GET  /_sim/clock            POST {{\"freeze\": true}}, {{\"set\": TIME}},
                              {{\"advance\": SECONDS}} or {{\"speed\": 60}}
  GET  /_sim/requests         the number of requests to the servers
  GET  /_sim/ca.pem           the certificate, with --tls

Examples:
  callmeter-simulator --speed 60 --calls-per-day 20000
  callmeter-simulator --calls 1000000 --days 30 --seed 7
  callmeter-simulator --fault late=0.05 --fault 'throttle={{\"retry_after\":2,\"rate\":0.1}}'
  curl -d '{{\"StartDate\":\"2026-08-06\",\"CustomerName\":\"Acme\",\"UserName\":\"exporter\",
      \"Password\":\"simulated\"}}' -H 'Content-Type: application/json' \\
      -H 'Accept: application/json' http://127.0.0.1:10180/api/calls
  curl http://127.0.0.1:10180/_sim/ledger?ids=false",
        describe_faults()
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_help_is_enough_to_use_it_alone() {
        Arguments::command().debug_assert();
        let help = Arguments::command().term_width(100).render_long_help();
        insta::assert_snapshot!(help);
    }

    #[test]
    fn without_arguments_it_starts_with_the_librarys_defaults() {
        let arguments = Arguments::parse_from(["callmeter-simulator"]);
        let options = arguments.options().expect("no faults");
        let listen = options.listen;
        let defaults = Options {
            listen,
            listen_portsip: options.listen_portsip,
            ..Options::default()
        };
        assert_eq!(format!("{options:?}"), format!("{defaults:?}"));
    }
}
