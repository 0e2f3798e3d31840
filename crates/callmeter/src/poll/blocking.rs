//! Work that waits for the disk, done where it holds up nobody.

use super::error::PollError;

/// Runs `work` on a thread for blocking work. It is not cut off when the caller goes away: what has
/// been journaled is always counted as well.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, PollError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| PollError::Internal(error.to_string()))
}
