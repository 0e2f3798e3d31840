//! `callmeter run`.

use std::sync::Arc;

use crate::cli::RunArgs;
use crate::exit::Failure;
use crate::life::{self, Birth};
use crate::logging;
use crate::stop::stop;
use crate::vault::Vault;

/// Runs until told to stop.
///
/// # Errors
/// When the program cannot start.
pub fn run(args: RunArgs) -> Result<(), Failure> {
    let vault = Arc::new(Vault::new());
    logging::start(args.log.level, args.log.format, &vault);
    let birth = Birth {
        config_file: args.config.config_file,
        web: args.web,
        vault,
    };
    // Signals end this life; the sender is kept so that nothing else does.
    let (_never, ended) = stop();
    runtime()?.block_on(life::live(birth, ended))
}

/// The runtime of commands that wait for the network.
///
/// # Errors
/// When the system gives no threads.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("callmeter")
        .build()
        .map_err(Failure::failed)
}
