//! What a database answers instead of a result.

use callmeter_error_chain::chain;
use callmeter_server_certificate::cause;
use rusqlite::ErrorCode;
use rustls::AlertDescription;
use tokio_postgres::error::SqlState;

use crate::database::advice;

/// An error of a database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// An error of SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// An error of PostgreSQL, or of the connection to it.
    #[error(transparent)]
    Postgres(#[from] tokio_postgres::Error),
    /// PostgreSQL does not answer, though it has not ended the connection.
    #[error("the server has not answered for {} seconds", limit.as_secs())]
    NoAnswer {
        /// How long it was waited for.
        limit: std::time::Duration,
    },
    /// The program ends, and no longer waits for PostgreSQL.
    #[error("the program ends, and does not wait for the server")]
    GivenUp,
    /// None of the hosts that the URL names lets callmeter in.
    #[error("{}", Self::reasons(.0))]
    Hosts(Vec<(String, Self)>),
    /// The connection to PostgreSQL was lost before.
    #[error("the connection is lost")]
    Closed,
    /// The system refuses what a connection needs.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// A value in a row has another type than its column.
    #[error("column {column} of a row is {found} instead of {expected}")]
    WrongType {
        /// The number of the column.
        column: usize,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A query that always has a row has none.
    #[error("a query without an answer")]
    NoRow,
    /// A statement ran while a query of the same connection was read.
    #[error("a statement within a query")]
    Nested,
    /// A statement failed, and with it all others of the transaction.
    #[error("a statement of the transaction failed")]
    RolledBack,
}

pub(crate) type DatabaseResult<T> = std::result::Result<T, DatabaseError>;

/// What kind of error it is, as far as someone can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No space.
    Full,
    /// The file, or the server, does not take writes.
    ReadOnly,
    /// The file is no database.
    NotADatabase,
    /// The contents are damaged.
    Damaged,
    /// Something else uses it at present.
    Busy,
    /// The disk, or the connection, failed.
    Lost,
    /// The server has no connection left.
    Connections,
    /// The user, or the password, is wrong.
    Refused,
    /// The login is not bound to the server's certificate.
    Unbound,
    /// The user lacks a right.
    Right,
    /// There is no such database.
    NoDatabase,
    /// TLS failed.
    Tls,
    Other,
}

impl DatabaseError {
    pub(crate) fn fault(&self) -> Fault {
        match self {
            Self::Sqlite(source) => match source.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => Fault::Full,
                Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Fault::ReadOnly,
                Some(ErrorCode::NotADatabase) => Fault::NotADatabase,
                Some(ErrorCode::DatabaseCorrupt) => Fault::Damaged,
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Fault::Busy,
                Some(ErrorCode::SystemIoFailure) => Fault::Lost,
                _ => Fault::Other,
            },
            Self::Postgres(source) => fault_of_server(source),
            Self::NoAnswer { .. } | Self::GivenUp | Self::Closed | Self::System(_) => Fault::Lost,
            // What may be there later decides.
            Self::Hosts(errors) => {
                let mut faults = errors.iter().map(|(_, error)| error.fault());
                let first = faults.next().unwrap_or(Fault::Lost);
                if faults.any(|fault| fault == Fault::Lost) {
                    Fault::Lost
                } else {
                    first
                }
            }
            Self::WrongType { .. } => Fault::Damaged,
            Self::NoRow | Self::Nested | Self::RolledBack => Fault::Other,
        }
    }

    /// Whether it is about a server.
    pub(crate) fn is_of_server(&self) -> bool {
        matches!(
            self,
            Self::Postgres(_)
                | Self::NoAnswer { .. }
                | Self::GivenUp
                | Self::Hosts(_)
                | Self::Closed
                | Self::System(_)
        )
    }

    /// Why the server does not let callmeter in, and what to do if that is known.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::Postgres(source) => match self.fault() {
                Fault::Tls => advice::of_tls(source),
                Fault::Refused => advice::of_login(source),
                Fault::Unbound => advice::UNBOUND.to_owned(),
                _ => chain(source),
            },
            error => chain(error),
        }
    }

    fn reasons(errors: &[(String, Self)]) -> String {
        let reasons = errors
            .iter()
            .map(|(host, error)| format!("{host}: {}", error.reason()));
        reasons.collect::<Vec<_>>().join("; ")
    }

    /// What the server said, in one line.
    pub(crate) fn server_message(&self) -> Option<String> {
        match self {
            Self::Postgres(source) => source.as_db_error().map(|error| error.message().to_owned()),
            Self::Hosts(_) => Some(self.to_string()),
            _ => None,
        }
    }
}

fn fault_of_server(source: &tokio_postgres::Error) -> Fault {
    let Some(code) = source.code() else {
        // Without a code it is not the server that says something.
        let text = source.to_string();
        let said = std::error::Error::source(source).map(ToString::to_string);
        return if text.starts_with("error performing TLS handshake") || wants_certificate(source) {
            Fault::Tls
        } else if said.as_deref() == Some("password missing") {
            Fault::Refused
        } else if said.as_deref() == Some("server did not use channel binding") {
            Fault::Unbound
        } else if text.starts_with("invalid configuration")
            || text.starts_with("error serializing")
            || text.starts_with("error deserializing")
        {
            Fault::Other
        } else if text.starts_with("authentication error") {
            Fault::Refused
        } else {
            Fault::Lost
        };
    };
    if *code == SqlState::DISK_FULL {
        Fault::Full
    } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        Fault::ReadOnly
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        Fault::Connections
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        Fault::Right
    } else if *code == SqlState::INVALID_CATALOG_NAME {
        Fault::NoDatabase
    } else if [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
    ]
    .contains(code)
    {
        Fault::Busy
    } else if [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED].contains(code) {
        Fault::Damaged
    } else if code.code().starts_with("28") {
        Fault::Refused
    } else if ["08", "57P", "25P03", "58030"]
        .iter()
        .any(|class| code.code().starts_with(class))
    {
        Fault::Lost
    } else {
        Fault::Other
    }
}

/// Whether the server ended the connection for want of a client's certificate. With TLS 1.3 it does
/// so after the handshake.
fn wants_certificate(source: &tokio_postgres::Error) -> bool {
    matches!(
        cause(source),
        Some(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate
        ))
    )
}
