//! Errors of the journal, with what to do about them.

use std::io;
use std::path::{Path, PathBuf};

use callmeter_records::{BatchSeq, Stream, ViewError};
use rusqlite::ErrorCode;

/// An error of the journal. The operation that failed has changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has locked the journal.
    #[error(
        "journal {path} is locked by another process{holder}: stop that process, or use another path"
    )]
    Locked {
        /// The journal.
        path: PathBuf,
        /// ` (process 4711)` if the process id is known, else empty.
        holder: String,
    },
    /// The file is another database, or no database.
    #[error(
        "{path} is not a callmeter journal, or its beginning is damaged: use another path, or restore a backup"
    )]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// A reader found no file.
    #[error("there is no journal at {path}")]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A newer callmeter wrote the journal.
    #[error(
        "journal {path} has format {found}, but this callmeter reads formats up to {supported}: run a newer callmeter"
    )]
    NewerFormat {
        /// The journal.
        path: PathBuf,
        /// The format of the file.
        found: i64,
        /// The newest format that this program reads.
        supported: i64,
    },
    /// An older callmeter wrote the journal, and this one only reads it.
    #[error(
        "journal {path} has the older format {found}: start `callmeter run` once, which converts it"
    )]
    OlderFormat {
        /// The journal.
        path: PathBuf,
        /// The format of the file.
        found: i64,
    },
    /// The disk is full, or the page limit is reached.
    #[error(
        "no space for journal {path}: free space on its disk, or lower the retention limits; nothing was lost, the records will be read again"
    )]
    Full {
        /// The journal.
        path: PathBuf,
    },
    /// The file or its directory is not writable.
    #[error(
        "journal {path} is not writable: give callmeter's user write access to the file and its directory"
    )]
    ReadOnly {
        /// The journal.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error(
        "journal {path} is damaged: {what}; run `callmeter journal verify`, then restore a backup or start a new journal"
    )]
    Corrupt {
        /// The journal.
        path: PathBuf,
        /// What is damaged.
        what: String,
    },
    /// The file that a backup should become is there already.
    #[error("{path} exists already: name a new file for the backup")]
    BackupExists {
        /// The file.
        path: PathBuf,
    },
    /// Retention removed a batch while a poll was about to read it.
    #[error(
        "retention has just removed batch {seq} of journal {path}: the next poll goes on without it"
    )]
    Removed {
        /// The journal.
        path: PathBuf,
        /// The batch.
        seq: BatchSeq,
    },
    /// The file system returned an error.
    #[error("cannot {operation} journal {path}")]
    Io {
        /// The journal.
        path: PathBuf,
        /// `open`, `lock` …
        operation: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// SQLite returned an error.
    #[error("cannot {operation} journal {path}")]
    Sqlite {
        /// The journal.
        path: PathBuf,
        /// `append to`, `read` …
        operation: &'static str,
        /// The error of SQLite.
        source: rusqlite::Error,
    },
    /// A batch cannot be packed: a text column is larger than 2 GiB.
    #[error("cannot pack a batch of {stream}")]
    Pack {
        /// The stream of the batch.
        stream: Stream,
        /// The error of Arrow.
        source: arrow_schema::ArrowError,
    },
    /// A batch does not have the columns of its stream.
    #[error("batch {seq} does not have the columns of stream {stream}")]
    View {
        /// The batch.
        seq: BatchSeq,
        /// The stream of the batch.
        stream: Stream,
        /// The column that does not match.
        source: ViewError,
    },
    /// The output was not registered for the stream.
    #[error("output `{output}` has no cursor for {stream}")]
    UnknownOutput {
        /// The output.
        output: String,
        /// The stream.
        stream: Stream,
    },
    /// The cursor has passed the batch: something else has charged it.
    #[error("the cursor of `{output}` is at batch {batch} or beyond it already")]
    CursorMoved {
        /// The owner of the cursor.
        output: String,
        /// The batch.
        batch: BatchSeq,
    },
    /// The journal has had four billion batches.
    #[error("the journal has no batch numbers left: start a new journal")]
    Exhausted,
}

/// The result of an operation of the journal.
pub type Result<T, E = JournalError> = std::result::Result<T, E>;

impl JournalError {
    /// Whether the operation may succeed later without a change by an operator, such as when the
    /// disk has space again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Full { .. } | Self::Io { .. } | Self::Removed { .. } => true,
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
