//! What can go wrong with a journal, in words that say what to do.

use std::io;
use std::path::{Path, PathBuf};

use callmeter_records::{Stream, ViewError};
use rusqlite::ErrorCode;

use crate::BatchSeq;

/// Why the journal could not do what was asked. Nothing was changed, unless a variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process holds the journal.
    #[error(
        "journal {path} is held by another process{holder}: stop it, or give this one a journal of its own"
    )]
    Locked {
        /// The journal.
        path: PathBuf,
        /// ` (process 4711)` where the holder left its number, else empty.
        holder: String,
    },
    /// The file is a database of something else, or no database.
    #[error("{path} is not a callmeter journal: choose another path, or move that file away")]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// There is no such file, for who only reads.
    #[error("there is no journal at {path}")]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A newer callmeter wrote the journal.
    #[error(
        "journal {path} has format {found}, this callmeter reads up to {supported}: run a newer callmeter"
    )]
    NewerFormat {
        /// The journal.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest that this program knows.
        supported: i64,
    },
    /// No room is left on the disk, or under the page limit.
    #[error(
        "no room for journal {path}: free space on its disk, or lower the journal's limits; nothing was lost, the records will be read again"
    )]
    Full {
        /// The journal.
        path: PathBuf,
    },
    /// The file or its directory cannot be written.
    #[error(
        "journal {path} cannot be written: give callmeter's user write access to the file and its directory"
    )]
    ReadOnly {
        /// The journal.
        path: PathBuf,
    },
    /// What is stored is not what was written.
    #[error(
        "journal {path} is damaged: {what}; run `callmeter journal verify`, then restore a copy or start a new journal"
    )]
    Corrupt {
        /// The journal.
        path: PathBuf,
        /// Where and how.
        what: String,
    },
    /// The disk or the file system refused.
    #[error("cannot {operation} journal {path}")]
    Io {
        /// The journal.
        path: PathBuf,
        /// `open`, `lock` …
        operation: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// SQLite refused.
    #[error("cannot {operation} journal {path}")]
    Sqlite {
        /// The journal.
        path: PathBuf,
        /// `append to`, `read` …
        operation: &'static str,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// A batch could not be packed: a text column over 2 GiB.
    #[error("cannot pack a batch of {stream}")]
    Pack {
        /// Its stream.
        stream: Stream,
        /// Arrow's reason.
        source: arrow_schema::ArrowError,
    },
    /// A batch is not of the stream that it is filed under.
    #[error("batch {seq} of {stream} does not read")]
    View {
        /// Its place.
        seq: BatchSeq,
        /// Its stream.
        stream: Stream,
        /// What does not fit.
        source: ViewError,
    },
    /// An output, or a stream of it, that was never registered.
    #[error("output `{output}` has no cursor for {stream}")]
    UnknownOutput {
        /// The output.
        output: String,
        /// The stream.
        stream: Stream,
    },
    /// The places of four billion batches are used up.
    #[error("the journal has no batch numbers left: start a new one")]
    Exhausted,
}

/// A result of the journal.
pub type Result<T, E = JournalError> = std::result::Result<T, E>;

impl JournalError {
    /// Whether trying again later, without anybody's help, may succeed: the disk may have room again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Full { .. } | Self::Io { .. } => true,
            Self::Sqlite { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::SystemIoFailure
                )
            ),
            _ => false,
        }
    }

    pub(crate) fn corrupt(path: &Path, what: impl Into<String>) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            what: what.into(),
        }
    }

    pub(crate) fn io(path: &Path, operation: &'static str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull => Self::Full { path },
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { path }
            }
            _ => Self::Io {
                path,
                operation,
                source,
            },
        }
    }

    pub(crate) fn sqlite(path: &Path, operation: &'static str, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { path },
            Some(ErrorCode::NotADatabase) => Self::NotAJournal { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt {
                path,
                what: source.to_string(),
            },
            _ => match source {
                rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::FromSqlConversionFailure(..) => Self::Corrupt {
                    path,
                    what: format!("a stored value has the wrong type ({source})"),
                },
                source => Self::Sqlite {
                    path,
                    operation,
                    source,
                },
            },
        }
    }
}
