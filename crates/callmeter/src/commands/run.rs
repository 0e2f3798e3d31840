//! `callmeter run`: polls, counts, publishes and delivers.

use std::sync::Arc;

use super::runtime::block_on;
use crate::app::{self, Signals, Startup};
use crate::cli::RunArgs;
use crate::exit::Failure;
use crate::logging;
use crate::secret_redactor::SecretRedactor;
use crate::service_manager;
use crate::stop::stop;

/// Runs until told to stop.
///
/// # Errors
/// If the program cannot start.
pub fn run(args: RunArgs) -> Result<(), Failure> {
    let redactor = Arc::new(SecretRedactor::new());
    logging::start(args.log.level, args.log.format, &redactor);
    // Only signals end it: the sender must not be dropped.
    let (_never, ended) = stop();
    let sockets = if args.systemd_socket {
        service_manager::sockets()?
    } else {
        Vec::new()
    };
    let shutdown = block_on(async {
        let signals = Signals::listen()?;
        let startup = Startup::new(&args.config.config_file, args.web, sockets, redactor).await?;
        app::run(startup, signals, ended).await
    })?;
    if !shutdown.late_outputs.is_empty() {
        callmeter_plugin_host::exit_now(0);
    }
    Ok(())
}
