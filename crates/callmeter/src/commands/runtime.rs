//! The async runtime of the commands that use the network.

use crate::exit::Failure;

/// Starts the runtime.
///
/// # Errors
/// If the system refuses to create threads.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Pages are journaled one after the other, so more threads would only wait.
        .max_blocking_threads(64)
        .thread_name("callmeter")
        .build()
        .map_err(Failure::failed)
}
