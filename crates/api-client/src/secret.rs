//! Secrets: a type that does not print itself, and where such a value comes from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use read_file_timeout::read_file;

/// A password or token: prints as `***`, serialises as itself (a request must carry it).
///
/// ```
/// use callmeter_api_client::Secret;
/// let secret = Secret::from("hunter2");
/// assert_eq!(format!("{secret:?}"), "***");
/// assert_eq!(secret.expose(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret(Box<str>);

impl Secret {
    /// The text itself. The name makes each use easy to find in a review.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// Where a secret comes from. It is read each time the secret is needed, so that a replaced file
/// (a rotated password) takes effect without a restart.
#[derive(Clone)]
pub struct SecretSource(Source);

#[derive(Clone)]
enum Source {
    Value(Secret),
    File(PathBuf),
    Env(String),
    Provider(Arc<dyn Fn() -> Result<Secret, SecretError> + Send + Sync>),
}

/// A longer file is not a password: most likely the wrong file was named.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

impl SecretSource {
    /// A secret that the caller holds already.
    pub fn value(secret: impl Into<Secret>) -> Self {
        Self(Source::Value(secret.into()))
    }

    /// The content of a file, without a byte order mark at its start and one line break at its end.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// An environment variable.
    pub fn env(name: impl Into<String>) -> Self {
        Self(Source::Env(name.into()))
    }

    /// The result of a function (a vault, a cache over a file).
    pub fn provider(
        provider: impl Fn() -> Result<Secret, SecretError> + Send + Sync + 'static,
    ) -> Self {
        Self(Source::Provider(Arc::new(provider)))
    }

    /// The secret as it is now.
    pub fn read(&self) -> Result<Secret, SecretError> {
        match &self.0 {
            Source::Value(secret) => Ok(secret.clone()),
            Source::File(path) => read_secret(path),
            Source::Env(name) => match std::env::var(name) {
                Ok(text) if !text.is_empty() => Ok(Secret::from(text)),
                Ok(_) => Err(SecretError::EnvEmpty(name.clone())),
                Err(std::env::VarError::NotPresent) => Err(SecretError::EnvMissing(name.clone())),
                Err(std::env::VarError::NotUnicode(_)) => {
                    Err(SecretError::EnvNotText(name.clone()))
                }
            },
            Source::Provider(provider) => provider(),
        }
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Value(_) => f.write_str("value ***"),
            Source::File(path) => write!(f, "file {}", path.display()),
            Source::Env(name) => write!(f, "environment variable {name}"),
            Source::Provider(_) => f.write_str("provider"),
        }
    }
}

impl<T: Into<Secret>> From<T> for SecretSource {
    fn from(secret: T) -> Self {
        Self::value(secret)
    }
}

fn read_secret(path: &Path) -> Result<Secret, SecretError> {
    let bytes = read_file(path, MAX_SECRET_BYTES).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::FileTooLarge => SecretError::FileTooLong(path.to_owned()),
        _ => SecretError::File {
            path: path.to_owned(),
            cause: cause.to_string(),
        },
    })?;
    let text = String::from_utf8(bytes).map_err(|_| SecretError::FileNotText(path.to_owned()))?;
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(SecretError::FileEmpty(path.to_owned()));
    }
    Ok(Secret::from(text))
}

/// Why a secret cannot be read. No variant contains any of its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be opened or read.
    #[error("cannot read secret file {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        cause: String,
    },
    /// The file is empty except for a line break.
    #[error("secret file {} is empty", .0.display())]
    FileEmpty(PathBuf),
    /// The file is not UTF-8.
    #[error("secret file {} is not UTF-8 text", .0.display())]
    FileNotText(PathBuf),
    /// The file is too long for a secret.
    #[error("secret file {} is longer than 64 KiB: is it the right file?", .0.display())]
    FileTooLong(PathBuf),
    /// The environment variable is not set.
    #[error("environment variable {0} is not set")]
    EnvMissing(String),
    /// The environment variable is empty.
    #[error("environment variable {0} is empty")]
    EnvEmpty(String),
    /// The environment variable is not UTF-8.
    #[error("environment variable {0} is not UTF-8 text")]
    EnvNotText(String),
    /// The caller's function failed.
    #[error("the secret's provider failed: {0}")]
    Provider(String),
}

#[cfg(test)]
mod tests {
    use super::SecretSource;

    #[test]
    fn what_an_editor_adds_is_not_part_of_a_secret() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (bytes, secret) in [
            (&b"hunter2"[..], Some("hunter2")),
            (b"hunter2\n", Some("hunter2")),
            (b"\xef\xbb\xbfhunter2\r\n", Some("hunter2")),
            (b" hunter2 \n\n", Some(" hunter2 \n")),
            (b"\xef\xbb\xbf\n", None),
            // UTF-16.
            (b"\xff\xfeh\0u\0", None),
        ] {
            std::fs::write(file.path(), bytes).unwrap();
            let read = SecretSource::file(file.path()).read();
            assert_eq!(
                read.as_ref().ok().map(super::Secret::expose),
                secret,
                "{bytes:?}"
            );
        }
    }
}
