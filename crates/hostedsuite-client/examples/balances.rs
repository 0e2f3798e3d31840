//! Prints the call-allowance balances of a period as tab-separated lines.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use hostedsuite_client::{BalanceQuery, CallRounding, Client, Error, Number, SecretSource, Tls};
use jiff::civil::Date;

/// Lists what each client of a HostedSuite customer has used and has left.
///
/// The password comes from HOSTEDSUITE_PASSWORD, or from a file. Nothing is billed that --bill does
/// not name.
#[derive(Parser)]
struct Options {
    /// The API, such as https://cpo.hostedsuite.com/api.
    #[arg(long, env = "HOSTEDSUITE_URL")]
    url: String,
    /// The HostedSuite customer name.
    #[arg(long, env = "HOSTEDSUITE_CUSTOMER")]
    customer: String,
    /// A user of the web login. Client-level logins are refused by the server.
    #[arg(long, env = "HOSTEDSUITE_USER")]
    user: String,
    /// A file with the password, instead of HOSTEDSUITE_PASSWORD.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// A CA to trust beside the operating system's, as a PEM file.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The first day of the period.
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: Date,
    /// The last day of the period.
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: Date,
    /// What is billed.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "talk")]
    bill: Vec<Bill>,
    /// How each call is rounded.
    #[arg(long, value_enum, default_value = "none")]
    rounding: Rounding,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Bill {
    Talk,
    Hold,
    Transfer,
    Ring,
}

#[derive(Clone, Copy, ValueEnum)]
enum Rounding {
    None,
    NextMinute,
    #[value(name = "next-30-seconds")]
    Next30Seconds,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("balances: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Error> {
    let password = match options.password_file {
        Some(path) => SecretSource::file(path),
        None => SecretSource::env("HOSTEDSUITE_PASSWORD"),
    };
    let tls = options.ca_file.into_iter().fold(Tls::new(), Tls::ca_file);
    let client = Client::builder(options.url)
        .credentials(options.customer, options.user, password)
        .tls(tls)
        .build()?;
    let bills = |what| options.bill.contains(&what);
    let query = BalanceQuery::between(options.from, options.to)
        .bill_talk(bills(Bill::Talk))
        .bill_hold(bills(Bill::Hold))
        .bill_transfer(bills(Bill::Transfer))
        .bill_ring(bills(Bill::Ring))
        .rounding(match options.rounding {
            Rounding::None => CallRounding::None,
            Rounding::NextMinute => CallRounding::NextMinute,
            Rounding::Next30Seconds => CallRounding::Next30Seconds,
        });
    let number = |number: Number<&str>| number.into_text().unwrap_or("-").to_owned();
    for row in client.balances(&query).await?.rows() {
        match row {
            Ok(row) => put(&[
                row.client_id().unwrap_or("-").to_owned(),
                row.client_name().unwrap_or("-").replace(['\t', '\n'], " "),
                number(row.num_calls()),
                number(row.num_mins()),
                number(row.balance()),
            ]
            .join("\t")),
            Err(error) => eprintln!("balances: {error}"),
        }
    }
    Ok(())
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
