//! Why a web configuration file is not used.

/// Why the access rules cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// A file cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The thread that reads the file again cannot be started.
    #[error("cannot watch {file}: {source}")]
    Watch {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not valid. A line for each mistake, with file and key.
    #[error("{0}")]
    Invalid(String),
    /// The file leaves out what protects a running server.
    #[error(
        "{file}: is it unfinished? {keys}; restart the server if the file is meant to be as it is"
    )]
    Unprotected {
        /// The web configuration file.
        file: String,
        /// What is missing, and what to write.
        keys: String,
    },
}
