//! What rows of every kind of answer have in common.

/// A row that cannot be read, beside others that can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {index} cannot be read: {reason}")]
pub struct RowError {
    /// The row's index in its answer, from 0.
    pub index: usize,
    /// What is wrong and at which byte of the answer; never its content.
    pub reason: String,
}

/// Declares an answer that is a list of rows, and the row type that borrows from it.
macro_rules! rows_of {
    ($(#[$answer_meta:meta])* $answer:ident, $(#[$row_meta:meta])* $row:ident, $columns:path, $iter:ident) => {
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

            /// The rows in the server's order; those that cannot be read as errors in their place.
            pub fn $iter(&self) -> impl Iterator<Item = Result<$row<'_>, crate::RowError>> {
                (0..self.table.len()).filter_map(|index| {
                    Some(match self.table.row(index)? {
                        Ok(row) => Ok($row(row)),
                        Err(reason) => Err(crate::RowError { index, reason: reason.to_owned() }),
                    })
                })
            }
        }

        $(#[$row_meta])*
        #[derive(Clone, Copy)]
        pub struct $row<'a>(crate::raw_table::Row<'a>);

        /// Prints no content: it may be personal.
        impl std::fmt::Debug for $row<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($row)).finish_non_exhaustive()
            }
        }
    };
}

/// Declares a getter of a row: `texts! { /// … name = COLUMN; }`.
macro_rules! texts {
    ($($(#[$meta:meta])* $name:ident = $column:expr;)+) => {$(
        $(#[$meta])*
        pub fn $name(&self) -> Option<&'a str> {
            self.0.text($column)
        }
    )+};
}

/// Declares a getter of a row: `numbers! { /// … name = COLUMN; }`.
macro_rules! numbers {
    ($($(#[$meta:meta])* $name:ident = $column:expr;)+) => {$(
        $(#[$meta])*
        pub fn $name(&self) -> api_client::Number<&'a str> {
            self.0.number($column)
        }
    )+};
}

pub(crate) use {numbers, rows_of, texts};
