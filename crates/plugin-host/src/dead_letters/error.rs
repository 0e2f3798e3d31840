//! Why dead letters cannot be written, listed or replayed.

use std::io;
use std::path::PathBuf;

/// Why dead letters cannot be written, listed or replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// An operation on a file failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// The operation.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason that the system gives.
        source: io::Error,
    },
    /// The batch cannot be written or read as Arrow IPC.
    #[error("{path}: {source}")]
    Arrow {
        /// The file.
        path: PathBuf,
        /// Why.
        source: arrow_schema::ArrowError,
    },
    /// The sidecar of a batch cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Sidecar {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A batch has no sidecar.
    #[error(
        "{path} has no file {sidecar} that describes it, so it cannot be replayed: \
         restore that file, or move this one away"
    )]
    Alone {
        /// The batch.
        path: PathBuf,
        /// The name of the sidecar.
        sidecar: String,
    },
    /// The directory is full.
    #[error(
        "{path} holds {bytes} bytes of dead letters, which is the limit: replay or remove some"
    )]
    Full {
        /// The directory.
        path: PathBuf,
        /// The bytes in it.
        bytes: u64,
    },
    /// There is no dead letter of this name.
    #[error("output {output} has no dead letter `{name}`")]
    Unknown {
        /// The output.
        output: String,
        /// The name.
        name: String,
    },
}
