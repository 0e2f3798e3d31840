//! Errors of the journal, with what to do about them.

use std::io;
use std::path::{Path, PathBuf};

use callmeter_records::{BatchSeq, Stream, ViewError};
use rusqlite::ErrorCode;

use crate::database::error::DatabaseError;
use crate::location::Location;

/// An error of the journal. The operation that failed has changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has locked the journal.
    #[error(
        "journal {journal} is locked by another process{holder}: stop that process, or use another path"
    )]
    Locked {
        /// The journal.
        journal: Location,
        /// ` (process 4711)` if the process id is known, else empty.
        holder: String,
    },
    /// The file is another database, or no database.
    #[error(
        "{journal} is not a callmeter journal, or its beginning is damaged: use another path, or restore a backup"
    )]
    NotAJournal {
        /// What was opened.
        journal: Location,
    },
    /// A reader found no file.
    #[error("there is no journal at {journal}")]
    Missing {
        /// Where it was looked for.
        journal: Location,
    },
    /// A newer callmeter wrote the journal.
    #[error(
        "journal {journal} has format {found}, but this callmeter reads formats up to {supported}: run a newer callmeter"
    )]
    NewerFormat {
        /// The journal.
        journal: Location,
        /// The format of the file.
        found: i64,
        /// The newest format that this program reads.
        supported: i64,
    },
    /// An older callmeter wrote the journal, and this one only reads it.
    #[error(
        "journal {journal} has the older format {found}: start `callmeter run` once, which converts it"
    )]
    OlderFormat {
        /// The journal.
        journal: Location,
        /// The format of the file.
        found: i64,
    },
    /// The disk is full, or the page limit is reached.
    #[error(
        "no space for journal {journal}: free space on its disk, or lower the retention limits; nothing was lost, the records will be read again"
    )]
    Full {
        /// The journal.
        journal: Location,
    },
    /// The file or its directory is not writable.
    #[error(
        "journal {journal} is not writable: give callmeter's user write access to the file and its directory"
    )]
    ReadOnly {
        /// The journal.
        journal: Location,
    },
    /// The file is damaged.
    #[error(
        "journal {journal} is damaged: {what}; run `callmeter journal verify`, then restore a backup or start a new journal"
    )]
    Corrupt {
        /// The journal.
        journal: Location,
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
        "retention has just removed batch {seq} of journal {journal}: the next poll goes on without it"
    )]
    Removed {
        /// The journal.
        journal: Location,
        /// The batch.
        seq: BatchSeq,
    },
    /// The file system returned an error.
    #[error("cannot {operation} journal {journal}")]
    Io {
        /// The journal.
        journal: Location,
        /// `open`, `lock` …
        operation: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// The database returned an error.
    #[error("cannot {operation} journal {journal}")]
    Database {
        /// The journal.
        journal: Location,
        /// `append to`, `read` …
        operation: &'static str,
        /// The error of the database.
        source: DatabaseError,
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
            Self::Database {
                source: DatabaseError::Sqlite(source),
                ..
            } => matches!(
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

    pub(crate) fn corrupt(journal: &Location, what: impl Into<String>) -> Self {
        Self::Corrupt {
            journal: journal.clone(),
            what: what.into(),
        }
    }

    /// An error of the file system.
    pub(crate) fn io(path: &Path, operation: &'static str, source: io::Error) -> Self {
        let journal = Location::from(path);
        match source.kind() {
            io::ErrorKind::StorageFull => Self::Full { journal },
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { journal }
            }
            _ => Self::Io {
                journal,
                operation,
                source,
            },
        }
    }

    /// An error of the database.
    pub(crate) fn database(
        journal: &Location,
        operation: &'static str,
        source: DatabaseError,
    ) -> Self {
        let journal = journal.clone();
        match source {
            DatabaseError::Sqlite(source) => Self::sqlite(journal, operation, source),
            DatabaseError::WrongType { .. } => Self::Corrupt {
                journal,
                what: format!("a stored value has the wrong type ({source})"),
            },
            source @ DatabaseError::NoRow => Self::Database {
                journal,
                operation,
                source,
            },
        }
    }

    fn sqlite(journal: Location, operation: &'static str, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { journal },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { journal },
            Some(ErrorCode::NotADatabase) => Self::NotAJournal { journal },
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt {
                journal,
                what: source.to_string(),
            },
            _ => Self::Database {
                journal,
                operation,
                source: source.into(),
            },
        }
    }
}
