//! Runs work that waits for the disk on threads where it delays nothing else.

use super::error::PollError;

/// Runs `work` on a thread for blocking work. It continues if the caller is dropped, so that
/// journaled records are always counted.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, PollError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| PollError::Internal(error.to_string()))
}
