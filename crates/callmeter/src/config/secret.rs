//! Where a secret is read. The configuration itself never holds one.

use std::fmt;
use std::path::PathBuf;

use api_client::{Secret, SecretError};

/// The home of a secret; it is read when needed, so that a rotated one is taken without a restart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// A file; one trailing line end does not belong to the secret.
    File(PathBuf),
    /// An environment variable of this process.
    Env(String),
}

impl SecretSource {
    /// Reads the secret as it is now.
    ///
    /// # Errors
    /// When it cannot be read, is empty, too long, or is not text.
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
