//! What a database answers instead of a result.

/// An error of a database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// An error of SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
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
}

pub(crate) type DatabaseResult<T> = std::result::Result<T, DatabaseError>;
