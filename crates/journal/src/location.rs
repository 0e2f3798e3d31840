//! Where a journal is, as messages name it.

use std::fmt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

/// Where a journal is. Its text never has a user's name or a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file of SQLite.
    File(PathBuf),
    /// A schema on a PostgreSQL server.
    Server(Box<ServerLocation>),
}

/// A schema on a PostgreSQL server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLocation {
    /// The host and its port, or several.
    pub host: String,
    /// The database.
    pub database: String,
    /// The schema.
    pub schema: String,
}

impl Location {
    /// The journal's file; `None` if it is on a server.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Server(_) => None,
        }
    }

    /// The channel on which a server announces appends. The name of a schema may be too long for
    /// one.
    pub(crate) fn channel(&self) -> String {
        match self {
            Self::File(_) => String::new(),
            Self::Server(server) => {
                format!("callmeter_{:016x}", xxh3_64(server.schema.as_bytes()))
            }
        }
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(server) => {
                let ServerLocation {
                    host,
                    database,
                    schema,
                } = &**server;
                write!(f, "postgres://{host}/{database}, schema {schema}")
            }
        }
    }
}
