//! Prints the calls of a day, or of a range of days, as tab-separated lines.
//!
//! Without `--details` it prints no personal data.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use hostedsuite_client::{CallRef, CallsQuery, Client, Ending, Error, Format, SecretSource, Tls};
use jiff::civil::Date;

/// Lists the calls of a HostedSuite customer.
///
/// The password comes from HOSTEDSUITE_PASSWORD, or from a file. Times are the server's local ones.
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
    /// The first day.
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: Date,
    /// The last day; the first one if left out.
    #[arg(long, value_name = "YYYY-MM-DD")]
    to: Option<Date>,
    /// Only calls of this client.
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Rows to ask for on a page.
    #[arg(long, default_value_t = 500)]
    page_size: u32,
    /// Speak JSV instead of JSON.
    #[arg(long)]
    jsv: bool,
    /// Print caller and answering person, too.
    #[arg(long)]
    details: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("calls: {error}");
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
        .format(if options.jsv {
            Format::Jsv
        } else {
            Format::Json
        })
        .tls(tls)
        .build()?;
    let last = options.to.unwrap_or(options.from);
    let mut query = CallsQuery::days(options.from, last).page_size(options.page_size);
    if let Some(id) = options.client {
        query = query.client(id);
    }
    let mut pages = client.calls(&query);
    while let Some(page) = pages.next().await {
        for call in page?.calls() {
            match call {
                Ok(call) => print(&call, options.details),
                Err(error) => eprintln!("calls: {error}"),
            }
        }
    }
    let summary = pages.summary();
    eprintln!("{} rows on {} pages", summary.rows, summary.pages);
    if let Some(Ending::Incomplete(shortfall)) = pages.ending() {
        eprintln!("calls: some may be missing: {shortfall}");
    }
    Ok(())
}

fn print(call: &CallRef<'_>, details: bool) {
    let or_dash = |text: Option<&str>| text.unwrap_or("-").replace(['\t', '\n'], " ");
    let seconds = |duration: Result<Option<i64>, &str>| match duration {
        Ok(Some(ms)) => format!("{}.{:03}", ms / 1000, ms % 1000),
        Ok(None) => "-".to_owned(),
        Err(_) => "?".to_owned(),
    };
    let mut line = [
        or_dash(call.id()),
        or_dash(call.start_time()),
        or_dash(call.call_type()),
        or_dash(call.client_id()),
        seconds(call.ring_time().duration_ms().map_err(|_| "")),
        seconds(call.talk_time().duration_ms().map_err(|_| "")),
    ]
    .join("\t");
    if details {
        for text in [call.caller_name(), call.caller_number(), call.answered_by()] {
            line.push('\t');
            line.push_str(&or_dash(text));
        }
    }
    put(&line);
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
