//! Where the journal is: in a file, or on a PostgreSQL server.

use std::path::{Path, PathBuf};

use callmeter_journal::TlsMode;

use super::secret::SecretSource;

/// Where the journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalPlace {
    /// A file of SQLite.
    File(PathBuf),
    /// A schema on a server.
    Server(Box<JournalServer>),
}

/// A schema on a PostgreSQL server, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalServer {
    /// The URL of the database.
    pub url: JournalUrl,
    /// The schema.
    pub schema: String,
    /// Whether connections are encrypted; `None`: as the URL says.
    pub tls: Option<TlsMode>,
    /// What the server's certificate is checked against, PEM.
    pub ca_file: Option<PathBuf>,
    /// The directory of the files that belong to a journal: the control socket, and dead letters.
    pub directory: PathBuf,
}

/// The URL of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalUrl {
    /// With a password: it is a secret.
    Secret(SecretSource),
    /// Without a password.
    Open(String),
}

impl JournalPlace {
    /// The directory of the files that belong to the journal.
    pub fn directory(&self) -> &Path {
        match self {
            Self::File(path) => path.parent().unwrap_or(Path::new("")),
            Self::Server(server) => &server.directory,
        }
    }

    /// The journal's file; `None` if it is on a server.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Server(_) => None,
        }
    }

    /// The key of the configuration that says so.
    pub fn key(&self) -> &'static str {
        match self {
            Self::File(_) => "journal.path",
            Self::Server(_) => "journal.postgres",
        }
    }
}
