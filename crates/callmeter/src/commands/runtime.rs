//! The async runtime of the commands that use the network.

use std::time::Duration;

use crate::exit::Failure;

/// How long the program waits at its end for work on other threads. What still hangs then, on a
/// drive that does not respond, does not keep the process.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// Runs a command on a new runtime.
///
/// # Errors
/// If the system refuses to create threads, or as `command`.
pub(super) fn block_on<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Pages are journaled one after the other, so more threads would only wait.
        .max_blocking_threads(64)
        .thread_name("callmeter")
        .build()
        .map_err(Failure::failed)?;
    let result = runtime.block_on(command);
    runtime.shutdown_timeout(SHUTDOWN_LIMIT);
    result
}
