//! `callmeter demo`: everything at work in one process, against simulated APIs.

mod receiver;

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use callmeter_simulator::{Options, Running, Simulator};

use super::runtime::runtime;
use crate::app::{self, Startup};
use crate::cli::DemoArgs;
use crate::exit::Failure;
use crate::logging;
use crate::secret_redactor::SecretRedactor;
use crate::stop::stop;
use receiver::Receiver;

/// Calls of a simulated day: at the default speed a few a second.
const CALLS_PER_DAY: u64 = 5_000;
/// The zone of the simulated HostedSuite.
const TIME_ZONE: &str = "America/New_York";

/// Runs until told to stop.
///
/// # Errors
/// When the simulator, the receiver or the exporter cannot start.
pub fn run(args: DemoArgs) -> Result<(), Failure> {
    let redactor = Arc::new(SecretRedactor::new());
    logging::start(args.log.level, args.log.format, &redactor);
    // A temporary directory lives as long as this value.
    let (directory, _temporary) = if let Some(directory) = &args.directory {
        std::fs::create_dir_all(directory).map_err(|error| {
            Failure::failed(format!("cannot make {}: {error}", directory.display()))
        })?;
        (directory.clone(), None)
    } else {
        let temporary = tempfile::Builder::new()
            .prefix("callmeter-demo-")
            .tempdir()
            .map_err(Failure::failed)?;
        (temporary.path().to_path_buf(), Some(temporary))
    };
    runtime()?.block_on(demo(args, &directory, redactor))
}

async fn demo(
    args: DemoArgs,
    directory: &Path,
    redactor: Arc<SecretRedactor>,
) -> Result<(), Failure> {
    let simulator = Simulator::start(Options {
        seed: args.seed,
        speed: args.speed,
        calls_per_day: Some(CALLS_PER_DAY),
        days: 3,
        time_zone: TIME_ZONE.to_owned(),
        ..Options::default()
    })
    .await
    .map_err(Failure::failed)?;
    let receiver = Receiver::start().await.map_err(Failure::failed)?;
    let plugins = match args.plugins {
        Some(directory) => directory,
        None => own_directory()?,
    };
    let config_file = write_configuration(directory, &plugins, &simulator, &receiver)?;
    let startup = Startup::new(config_file, args.web, redactor).await?;
    say_where(&startup.addresses(), directory, &simulator, &receiver)?;
    let (_never, ended) = stop();
    let outcome = app::run(startup, ended).await;
    writeln!(
        std::io::stdout(),
        "The receiver took {} posts with {} records.",
        receiver.posts(),
        receiver.records()
    )
    .map_err(Failure::failed)?;
    simulator.stop().await;
    outcome.map(drop)
}

/// Where this program lies: Cargo puts the plugins beside it, and so does a package.
fn own_directory() -> Result<PathBuf, Failure> {
    let app = std::env::current_exe().map_err(Failure::failed)?;
    Ok(app.parent().unwrap_or(Path::new(".")).to_path_buf())
}

/// Writes what an operator would write: a configuration and its secret files.
fn write_configuration(
    directory: &Path,
    plugins: &Path,
    simulator: &Running,
    receiver: &Receiver,
) -> Result<PathBuf, Failure> {
    let defaults = callmeter_simulator::Credentials::default();
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|error| {
            Failure::failed(format!("cannot write {}: {error}", path.display()))
        })?;
        Ok::<PathBuf, Failure>(path)
    };
    write("hostedsuite.password", &defaults.hostedsuite.password)?;
    write("portsip.password", &defaults.portsip.password)?;
    write("webhook.secret", receiver::SECRET)?;
    let mut outputs = String::new();
    for (file, name, streams, config) in [
        (
            "libcallmeter_csv.so",
            "archive",
            "[calls, balances, rates, billing]",
            format!("{{ directory: {} }}", quoted(&directory.join("csv"))),
        ),
        (
            "libcallmeter_webhook.so",
            "crm",
            "[calls]",
            format!(
                "{{ url: \"{}\", secret_file: webhook.secret }}",
                receiver.url()
            ),
        ),
    ] {
        let library = plugins.join(file);
        if library.is_file() {
            // Writing to a String does not fail.
            let _ = write!(
                outputs,
                "  - name: {name}\n    plugin: {}\n    streams: {streams}\n    config: {config}\n",
                quoted(&library)
            );
        } else {
            tracing::warn!(library = %library.display(), "plugin is not built; the demo goes without it (cargo xtask demo builds all)");
        }
    }
    if outputs.is_empty() {
        outputs.push_str("  []\n");
    }
    let text = format!(
        "# Written by `callmeter demo`.\n\
         accounts:\n\
         \x20 - name: acme\n\
         \x20   hostedsuite:\n\
         \x20     url: {hostedsuite}\n\
         \x20     customer: {customer}\n\
         \x20     username: {username}\n\
         \x20     password_file: hostedsuite.password\n\
         \x20     time_zone: {TIME_ZONE}\n\
         \x20     calls: {{ every: 2s, lookback: 1d, settle: 0s }}\n\
         \x20     balances: {{ every: 10s, bill: [talk, hold] }}\n\
         \x20     clients: {{ every: 1m }}\n\
         \x20 - name: hq\n\
         \x20   portsip:\n\
         \x20     url: {portsip}\n\
         \x20     username: {portsip_user}\n\
         \x20     password_file: portsip.password\n\
         \x20     domain: {domain}\n\
         \x20     billing: {{ every: 5s }}\n\
         \x20     rates: {{ every: 30s }}\n\
         journal: {{ path: journal.db }}\n\
         outputs:\n{outputs}",
        hostedsuite = simulator.hostedsuite_url(),
        customer = defaults.hostedsuite.customer,
        username = defaults.hostedsuite.username,
        portsip = simulator.portsip_url(),
        portsip_user = defaults.portsip.username,
        domain = defaults.portsip.domain,
    );
    write("callmeter.yml", &text)
}

/// A path as a YAML text; JSON's quoting is YAML's as well.
fn quoted(path: &Path) -> String {
    serde_json::Value::String(path.display().to_string()).to_string()
}

fn say_where(
    addresses: &[SocketAddr],
    directory: &Path,
    simulator: &Running,
    receiver: &Receiver,
) -> Result<(), Failure> {
    let web = match addresses.first() {
        Some(address) if address.ip().is_unspecified() => {
            format!("http://localhost:{}", address.port())
        }
        Some(address) => format!("http://{address}"),
        None => String::new(),
    };
    let directory = directory.display();
    writeln!(
        std::io::stdout(),
        "callmeter demo: simulated APIs, both plugins, everything in {directory}\n\
         \n\
         \x20 status page     {web}/\n\
         \x20 metrics         {web}/metrics\n\
         \x20 CSV files       {directory}/csv\n\
         \x20 webhook posts   {receiver}\n\
         \x20 configuration   {directory}/callmeter.yml\n\
         \x20 simulator       {simulator}/ledger\n\
         \n\
         Ctrl-C ends it.",
        receiver = receiver.page_url(),
        simulator = simulator.control_url(),
    )
    .map_err(Failure::failed)
}
