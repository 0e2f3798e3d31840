//! The limit of the size of files (`ulimit -f`): a write beyond it fails like one to a full disk.

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Failure;

/// Handles the signal that otherwise ends a process that exceeds the limit, without a word.
///
/// # Errors
/// If the system refuses a handler.
pub fn survive_the_limit() -> Result<(), Failure> {
    // The handler stays when this runtime ends.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(Failure::failed)?;
    let exceeded = SignalKind::from_raw(Signal::XFSZ.as_raw());
    let handled = runtime.block_on(async { signal(exceeded).map(drop) });
    handled.map_err(Failure::failed)
}
