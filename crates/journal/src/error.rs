//! Errors of the journal, with what to do about them.

use std::io;
use std::path::{Path, PathBuf};

use callmeter_records::{BatchSeq, Stream, ViewError};

use crate::database::error::{DatabaseError, Fault};
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
    /// The server cannot be reached, or the connection to it is lost.
    #[error(
        "cannot {operation} journal {journal}: the server cannot be reached, or ended the connection; check that it runs and that this machine may connect to it"
    )]
    Unreachable {
        /// The journal.
        journal: Location,
        /// `append to`, `read` …
        operation: &'static str,
        /// The error of the connection.
        source: DatabaseError,
    },
    /// The server has no connection left for callmeter.
    #[error(
        "the server of journal {journal} has no connection left: raise its `max_connections`, or the limit of the user or the database; an instance of callmeter keeps up to 11 open"
    )]
    Connections {
        /// The journal.
        journal: Location,
    },
    /// Others have kept the journal locked.
    #[error(
        "cannot {operation} journal {journal}: other transactions were in the way, several times; it is tried again later. `pg_stat_activity` shows them"
    )]
    Busy {
        /// The journal.
        journal: Location,
        /// `append to`, `read` …
        operation: &'static str,
        /// The error of the database.
        source: DatabaseError,
    },
    /// The server does not know the user, or the password is wrong.
    #[error("the server of journal {journal} refuses callmeter's user: {reason}")]
    Refused {
        /// The journal.
        journal: Location,
        /// What the server says, and what to do.
        reason: String,
    },
    /// The user lacks a right.
    #[error(
        "cannot {operation} journal {journal}: {message}; the user needs CREATE on the database once, then all rights on the schema and its tables"
    )]
    MissingRight {
        /// The journal.
        journal: Location,
        /// `append to`, `read` …
        operation: &'static str,
        /// What the server says: which right on what.
        message: String,
    },
    /// The user lacks a right that was checked for.
    #[error("user {user} of journal {journal} lacks {right} on {on}: run {grant}")]
    NotGranted {
        /// The user, as SQL names it.
        user: String,
        /// The journal.
        journal: Location,
        /// The right.
        right: String,
        /// On what.
        on: String,
        /// The statement that grants what callmeter needs.
        grant: String,
    },
    /// The server does not have the database.
    #[error(
        "the server of journal {journal} does not have that database: create it, with the encoding UTF8"
    )]
    NoDatabase {
        /// The journal.
        journal: Location,
    },
    /// The connection could not be encrypted, or the server's certificate is not trusted.
    #[error("cannot make an encrypted connection to journal {journal}: {reason}")]
    Tls {
        /// The journal.
        journal: Location,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The login is not bound to the server's certificate.
    #[error(
        "`channel_binding=require` is in the URL, but a login to journal {journal} cannot be bound to the server's certificate: {reason}"
    )]
    Unbound {
        /// The journal.
        journal: Location,
        /// What to do.
        reason: String,
    },
    /// The file with the certificates cannot be used.
    #[error("cannot use the trusted certificates for journal {journal}: check `ca_file`")]
    CaFile {
        /// The journal.
        journal: Location,
        /// What failed.
        source: io::Error,
    },
    /// There are trusted certificates, but nothing would be checked against them.
    #[error(
        "`ca_file` of journal {journal} is of no use, because `tls` does not check the server's certificate: set `tls` to verify-full"
    )]
    UnusedCaFile {
        /// The journal.
        journal: Location,
    },
    /// The server has lost batches that it had stored: it is a standby that lagged behind when it
    /// was promoted, or a backup was restored.
    #[error(
        "the server of journal {journal} no longer has batch {batch}, which it had stored: restart callmeter, which then counts and delivers what the server has, and reads the missing calls again"
    )]
    WentBack {
        /// The journal.
        journal: Location,
        /// The last batch that it had.
        batch: BatchSeq,
    },
    /// Another instance has the lease, or it ended before it was renewed.
    #[error(
        "this instance no longer holds the lease `{lease}` of journal {journal}, so it has written nothing: another instance goes on with the work"
    )]
    LeaseLost {
        /// The lease.
        lease: String,
        /// The journal.
        journal: Location,
    },
    /// The server is too old.
    #[error("the server of journal {journal} is PostgreSQL {found}: use version {oldest} or later")]
    ServerVersion {
        /// The journal.
        journal: Location,
        /// Its version.
        found: String,
        /// The oldest version that works.
        oldest: i64,
    },
    /// The database has another encoding.
    #[error(
        "the database of journal {journal} has the encoding {found}: create one with ENCODING 'UTF8' TEMPLATE template0"
    )]
    Encoding {
        /// The journal.
        journal: Location,
        /// Its encoding.
        found: String,
    },
    /// The server only reads.
    #[error(
        "the server of journal {journal} only reads, as a standby does: name the primary, or all servers with `target_session_attrs=read-write` in the URL"
    )]
    Standby {
        /// The journal.
        journal: Location,
    },
    /// The schema has tables of something else.
    #[error("{journal} has tables that are not callmeter's: name another schema")]
    ForeignSchema {
        /// The journal.
        journal: Location,
    },
    /// The URL of the server cannot be used.
    #[error(
        "the URL of the journal cannot be used: {what}; write postgres://user:password@host:5432/database"
    )]
    BadUrl {
        /// What is wrong, without the URL.
        what: String,
    },
    /// The name of the schema cannot be used.
    #[error(
        "`{schema}` cannot be the schema of a journal: write a name of at most 63 bytes, without quotes and commas, that does not start with pg_"
    )]
    BadSchemaName {
        /// The name.
        schema: String,
    },
    /// The journal is a copy that was not finished.
    #[error("journal {journal} is an unfinished copy: copy the same journal again, which goes on")]
    UnfinishedCopy {
        /// The journal.
        journal: Location,
    },
    /// The copy is there already.
    #[error(
        "{journal} is this journal, or a finished copy of it, up to batch {head}: nothing was copied. To copy again, name a new place"
    )]
    CopyExists {
        /// The copy.
        journal: Location,
        /// Its last batch.
        head: BatchSeq,
    },
    /// Instances work on the journal that a copy should become.
    #[error(
        "callmeter runs on journal {journal} ({instances}): stop it before you copy to this place"
    )]
    CopyInUse {
        /// The journal.
        journal: Location,
        /// The names of the instances.
        instances: String,
    },
    /// Connections to the server share what should be a session of their own.
    #[error(
        "journal {journal} is reached through a pooler that gives each transaction another connection to the server, such as PgBouncer with `pool_mode = transaction`: name the server itself in the URL, or use `pool_mode = session`"
    )]
    Pooled {
        /// The journal.
        journal: Location,
    },
    /// A copy would overwrite a journal.
    #[error(
        "journal {journal} is in use, or an unfinished copy of another one: name a new place for the copy"
    )]
    NotEmpty {
        /// The journal.
        journal: Location,
    },
    /// A copy does not have the rows of its journal.
    #[error(
        "the copy {journal} does not have the same rows in `{table}`: it is not finished; remove it and copy again"
    )]
    CopyDiffers {
        /// The copy.
        journal: Location,
        /// The table.
        table: String,
    },
    /// A backup of a journal on a server.
    #[error(
        "journal {journal} is on a server: copy it into a file with `callmeter journal copy`, or back up the server, such as by `pg_dump`"
    )]
    NoBackup {
        /// The journal.
        journal: Location,
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
            Self::Full { .. }
            | Self::Io { .. }
            | Self::Removed { .. }
            | Self::Unreachable { .. }
            | Self::Connections { .. }
            | Self::LeaseLost { .. }
            | Self::Busy { .. } => true,
            Self::Database { source, .. } => {
                matches!(source.fault(), Fault::Busy | Fault::Lost)
            }
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
        let is_server = source.is_of_server();
        match source.fault() {
            Fault::Full => Self::Full { journal },
            Fault::ReadOnly if is_server => Self::Standby { journal },
            Fault::ReadOnly => Self::ReadOnly { journal },
            Fault::NotADatabase => Self::NotAJournal { journal },
            Fault::Damaged => Self::Corrupt {
                journal,
                what: match source {
                    DatabaseError::WrongType { .. } => {
                        format!("a stored value has the wrong type ({source})")
                    }
                    source => source
                        .server_message()
                        .unwrap_or_else(|| source.to_string()),
                },
            },
            Fault::Busy if is_server => Self::Busy {
                journal,
                operation,
                source,
            },
            Fault::Lost if is_server => Self::Unreachable {
                journal,
                operation,
                source,
            },
            Fault::Connections => Self::Connections { journal },
            Fault::Refused => Self::Refused {
                journal,
                reason: source.reason(),
            },
            Fault::Unbound => Self::Unbound {
                journal,
                reason: source.reason(),
            },
            Fault::Right => Self::MissingRight {
                journal,
                operation,
                message: source.server_message().unwrap_or_default(),
            },
            Fault::NoDatabase => Self::NoDatabase { journal },
            Fault::Tls => Self::Tls {
                journal,
                reason: source.reason(),
            },
            Fault::Busy | Fault::Lost | Fault::Other => Self::Database {
                journal,
                operation,
                source,
            },
        }
    }
}
