//! Why a batch cannot be read.

use std::fmt;

/// Why a batch cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchError {
    /// The memory does not match the schema. Names the column and what is wrong.
    Malformed(String),
    /// Rows of another stream were asked for.
    OtherStream {
        /// The stream asked for.
        wanted: &'static str,
        /// The batch's stream.
        found: &'static str,
    },
    /// A column that every record has is missing, or has another type than the SDK reads.
    Column {
        /// The column's name.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(problem) => write!(f, "the batch is malformed: {problem}"),
            Self::OtherStream { wanted, found } => {
                write!(f, "the batch holds {found}, not {wanted}")
            }
            Self::Column { name, problem } => write!(f, "column {name}: {problem}"),
        }
    }
}

impl std::error::Error for BatchError {}

pub(super) fn malformed(problem: impl Into<String>) -> BatchError {
    BatchError::Malformed(problem.into())
}
