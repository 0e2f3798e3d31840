//! Reads the export of all call rates while it arrives, and prints it as tab-separated lines.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use portsip_client::{Error, ExportedRates, SecretSource, Session, Tls};

/// Exports the call rates of a PortSIP PBX tenant in one request.
///
/// The password comes from PORTSIP_PASSWORD, or from a file. If the file's columns cannot be
/// recognized, it says which are missing; the example `rates` goes another way.
#[derive(Parser)]
struct Options {
    /// The API, such as https://pbx.example.com:8887/api.
    #[arg(long, env = "PORTSIP_URL")]
    url: String,
    /// The user's name.
    #[arg(long, env = "PORTSIP_USER")]
    user: String,
    /// The tenant's SIP domain; left out by system administrators.
    #[arg(long, env = "PORTSIP_DOMAIN")]
    domain: Option<String>,
    /// A file with the password, instead of PORTSIP_PASSWORD.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A CA to trust beside the operating system's, as a PEM file.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Accept any certificate: whoever sits in between can read the password.
    #[arg(long)]
    insecure: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("export: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<bool, Error> {
    let password = match options.password_file {
        Some(path) => SecretSource::file(path),
        None => SecretSource::env("PORTSIP_PASSWORD"),
    };
    let tls = options
        .ca_file
        .into_iter()
        .fold(Tls::new(), Tls::ca_file)
        .danger_accept_any_certificate(options.insecure);
    let mut builder = Session::builder(options.url)
        .credentials(options.user, password)
        .tls(tls);
    if let Some(domain) = options.domain {
        builder = builder.domain(domain);
    }
    let mut export = match builder.build()?.export().await? {
        ExportedRates::Rates(export) => export,
        ExportedRates::NoColumns(missing) => {
            eprintln!("export: {missing}");
            return Ok(false);
        }
    };
    let mut count = 0;
    while let Some(rate) = export.next().await {
        match rate? {
            Ok(rate) => {
                count += 1;
                put(&format!(
                    "{}\t{}\t{}\t{}",
                    rate.prefix.unwrap_or_default(),
                    rate.type_.map_or("-".to_owned(), |kind| kind.to_string()),
                    rate.price_1
                        .map_or("-".to_owned(), |price| price.to_string()),
                    rate.price_n
                        .map_or("-".to_owned(), |price| price.to_string()),
                ));
            }
            Err(error) => eprintln!("export: {error}"),
        }
    }
    eprintln!("{count} rates in {} bytes", export.bytes());
    Ok(true)
}

/// Prints a line; ends quietly when nobody reads any more (`| head`).
#[expect(
    clippy::disallowed_methods,
    reason = "nothing is open that an exit could harm"
)]
fn put(line: &str) {
    use std::io::Write as _;

    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}
