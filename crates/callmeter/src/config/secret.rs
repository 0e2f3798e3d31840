//! Where a secret is read. The configuration never contains one.

use std::fmt;
use std::path::PathBuf;

use api_client::{Secret, SecretError};

/// The source of a secret. It is read at each use, so a rotated secret needs no restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// A file. One line end at its end is not part of the secret.
    File(PathBuf),
    /// An environment variable of this process.
    Env(String),
}

impl SecretSource {
    /// Reads the current secret.
    ///
    /// # Errors
    /// If it cannot be read, is empty, too long, or not text.
    pub fn read(&self) -> Result<Secret, SecretError> {
        match self {
            Self::File(path) => api_client::SecretSource::file(path),
            Self::Env(name) => api_client::SecretSource::env(name),
        }
        .read()
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
        }
    }
}
