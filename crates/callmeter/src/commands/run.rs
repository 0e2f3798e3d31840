//! `callmeter run`.

use std::sync::Arc;

use crate::app::{self, Startup};
use crate::cli::RunArgs;
use crate::exit::Failure;
use crate::logging;
use crate::secret_redactor::SecretRedactor;
use crate::stop::stop;

/// Runs until told to stop.
///
/// # Errors
/// When the program cannot start.
pub fn run(args: RunArgs) -> Result<(), Failure> {
    let redactor = Arc::new(SecretRedactor::new());
    logging::start(args.log.level, args.log.format, &redactor);
    // Signals end this life; the sender is kept so that nothing else does.
    let (_never, ended) = stop();
    let runtime = runtime()?;
    let end = runtime.block_on(async {
        let startup = Startup::new(args.config.config_file, args.web, redactor).await?;
        app::live(startup, ended).await
    })?;
    if !end.late_outputs.is_empty() {
        callmeter_plugin_host::exit_now(0);
    }
    Ok(())
}

/// The runtime of commands that wait for the network.
///
/// # Errors
/// When the system gives no threads.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Pages are journaled one after the other in any case; more threads would only wait.
        .max_blocking_threads(64)
        .thread_name("callmeter")
        .build()
        .map_err(Failure::failed)
}
