//! The command line.

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use callmeter_simulator::{
    Credentials, FaultsError, LedgerQuery, Options, Running, describe_faults,
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
    options: Options,
    /// Write the certificate of the servers that use TLS to a file, for clients to trust
    #[arg(long, value_name = "FILE", help_heading = "The servers")]
    write_certificate: Option<PathBuf>,
    /// Start with a fault; may be given several times. See below
    #[arg(long = "fault", value_name = "NAME[=VALUE]", help_heading = "Faults")]
    faults: Vec<String>,
}

impl Arguments {
    pub(crate) fn options(&self) -> Result<Options, FaultsError> {
        let mut options = self.options.clone();
        for word in &self.faults {
            options.faults.merge_word(word)?;
        }
        Ok(options)
    }

    /// Writes the certificate to the requested file.
    pub(crate) fn write_certificate(&self, running: &Running) -> Option<std::io::Result<()>> {
        let path = self.write_certificate.as_ref()?;
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
