//! Prints a tenant's billing settings, balance and call rates, rates as tab-separated lines.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use portsip_client::{CallRate, Error, RatesQuery, ResourceId, SecretSource, Session, Tls};

/// Lists the call rates of a PortSIP PBX tenant.
///
/// The password comes from PORTSIP_PASSWORD, or from a file. The account needs the permission
/// Billing, full access; nothing is changed.
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
    /// The name that the certificate is for, if it is not the URL's host.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Accept any certificate: whoever sits in between can read the password.
    #[arg(long)]
    insecure: bool,
    /// Only this rate, with all its members.
    #[arg(long, value_name = "ID")]
    id: Option<ResourceId>,
    /// Only rates that match this filter, in the API's words: contains(prefix,'49')
    #[arg(long)]
    filter: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rates: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Error> {
    let password = match options.password_file {
        Some(path) => SecretSource::file(path),
        None => SecretSource::env("PORTSIP_PASSWORD"),
    };
    let mut tls = options
        .ca_file
        .into_iter()
        .fold(Tls::new(), Tls::ca_file)
        .danger_accept_any_certificate(options.insecure);
    if let Some(name) = options.server_name {
        tls = tls.server_name(name);
    }
    let mut builder = Session::builder(options.url)
        .credentials(options.user, password)
        .tls(tls);
    if let Some(domain) = options.domain {
        builder = builder.domain(domain);
    }
    let session = builder.build()?;
    if let Some(id) = options.id {
        print(&session.rate(&id).await?);
        return Ok(());
    }
    let billing = session.billing().await?;
    let currency = session.tenant().await?.currency.unwrap_or_default();
    eprintln!(
        "billing enabled: {:?}, account {:?}, charging {:?}",
        billing.enabled, billing.account, billing.type_
    );
    if let Some(balance) = session.balance().await?.known() {
        eprintln!("balance: {balance} {currency}");
    }
    let mut query = RatesQuery::default();
    if let Some(filter) = options.filter {
        query = query.filter(filter);
    }
    let mut pages = session.rates(&query);
    while let Some(page) = pages.next().await {
        for rate in page?.rates {
            match rate {
                Ok(rate) => print(&rate),
                Err(error) => eprintln!("rates: {error}"),
            }
        }
    }
    if let Some(missing @ 1..) = pages.shortfall() {
        eprintln!("rates: the server counts {missing} more");
    }
    Ok(())
}

fn print(rate: &CallRate) {
    fn or_dash(value: Option<impl ToString>) -> String {
        value.map_or("-".to_owned(), |value| {
            value.to_string().replace(['\t', '\n'], " ")
        })
    }
    put(&[
        or_dash(rate.id.as_ref()),
        or_dash(rate.prefix.as_ref()),
        or_dash(rate.type_.as_ref()),
        or_dash(rate.interval_1),
        or_dash(rate.interval_n),
        or_dash(rate.connect_fee),
        or_dash(rate.price_1),
        or_dash(rate.price_n),
        or_dash(rate.description.as_ref()),
    ]
    .join("\t"));
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
