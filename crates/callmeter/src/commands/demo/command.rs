//! Starts the simulator, the receiver and the exporter in one process.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use callmeter_simulator::{Options, Running, Simulator};

use super::super::runtime::block_on;
use super::configuration::{TIME_ZONE, write_configuration};
use super::receiver::Receiver;
use crate::app::{self, Signals, Startup};
use crate::cli::DemoArgs;
use crate::exit::Failure;
use crate::logging;
use crate::secret_redactor::SecretRedactor;
use crate::stop::stop;

/// Calls of a simulated day: a few per second at the default speed.
const CALLS_PER_DAY: u64 = 5_000;

/// Runs until it is stopped.
///
/// # Errors
/// If the simulator, the receiver or the exporter cannot start.
pub fn run(args: DemoArgs) -> Result<(), Failure> {
    let redactor = Arc::new(SecretRedactor::new());
    logging::start(args.log.level, args.log.format, &redactor);
    // Dropping this value removes the temporary directory.
    let (directory, _temporary) = if let Some(directory) = &args.directory {
        std::fs::create_dir_all(directory).map_err(|error| {
            Failure::failed(format!("cannot create {}: {error}", directory.display()))
        })?;
        (directory.clone(), None)
    } else {
        let temporary = tempfile::Builder::new()
            .prefix("callmeter-demo-")
            .tempdir()
            .map_err(Failure::failed)?;
        (temporary.path().to_path_buf(), Some(temporary))
    };
    block_on(demo(args, &directory, redactor))
}

async fn demo(
    args: DemoArgs,
    directory: &Path,
    redactor: Arc<SecretRedactor>,
) -> Result<(), Failure> {
    let signals = Signals::listen()?;
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
        // The configuration is in another directory.
        Some(directory) => std::path::absolute(directory).map_err(Failure::failed)?,
        None => own_plugins()?,
    };
    let config_file = write_configuration(directory, &plugins, &simulator, &receiver)?;
    let startup = Startup::new(&config_file, args.web, Vec::new(), redactor).await?;
    print_addresses(&startup.addresses(), directory, &simulator, &receiver)?;
    let (_never, ended) = stop();
    let outcome = app::run(startup, signals, ended).await;
    writeln!(
        std::io::stdout(),
        "The receiver took {} posts with {} records.",
        receiver.posts(),
        receiver.records()
    )
    .map_err(Failure::stdout)?;
    simulator.stop().await;
    outcome.map(drop)
}

/// The directory of the plugins. Cargo puts them beside this program; a package puts this program
/// into `bin` and them into `lib/callmeter`.
fn own_plugins() -> Result<PathBuf, Failure> {
    let app = std::env::current_exe().map_err(Failure::failed)?;
    let own = app.parent().unwrap_or(Path::new("."));
    let packaged = own.join("../lib/callmeter");
    if !own.join("libcallmeter_csv.so").exists()
        && let Ok(packaged) = packaged.canonicalize()
    {
        return Ok(packaged);
    }
    Ok(own.to_path_buf())
}

fn print_addresses(
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
         Press Ctrl-C to stop.",
        receiver = receiver.page_url(),
        simulator = simulator.control_url(),
    )
    .map_err(Failure::stdout)
}
