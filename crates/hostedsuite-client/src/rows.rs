//! What the rows of all answers have in common.

/// A row that cannot be read, in an answer whose other rows can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {index} cannot be read: {reason}")]
pub struct RowError {
    /// The row's index in its answer, from 0.
    pub index: usize,
    /// What is wrong and at which byte of the answer; never its content.
    pub reason: String,
}

/// Declares an answer that is a list of rows.
macro_rules! rows_of {
    ($(#[$answer_meta:meta])* $answer:ident of $row:ident) => {
        $(#[$answer_meta])*
        #[derive(Debug)]
        pub struct $answer {
            table: crate::raw_table::RawTable,
        }

        impl $answer {
            pub(crate) fn new(table: crate::raw_table::RawTable) -> Self {
                Self { table }
            }

            /// How many rows there are, unreadable ones included.
            pub fn len(&self) -> usize {
                self.table.len()
            }

            /// Whether there is no row.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The rows in the server's order; an error for each that cannot be read.
            pub fn rows(&self) -> impl Iterator<Item = Result<$row<'_>, crate::rows::RowError>> {
                (0..self.table.len()).filter_map(|index| {
                    Some(match self.table.row(index)? {
                        Ok(row) => Ok($row(row)),
                        Err(reason) => Err(crate::rows::RowError { index, reason: reason.to_owned() }),
                    })
                })
            }
        }
    };
}
pub(crate) use rows_of;
