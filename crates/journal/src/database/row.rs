//! The values of a row, by the number of their column.

use std::error::Error;

use rusqlite::types::ValueRef;
use tokio_postgres::types::{FromSql, Type};

use crate::database::error::{DatabaseError, DatabaseResult};

/// A row of a query's answer.
pub(crate) enum Row<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r tokio_postgres::Row),
}

/// A stored value, borrowed from its row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'r> {
    Null,
    Int(i64),
    Text(&'r str),
    Bytes(&'r [u8]),
    Other(&'static str),
}

/// A type that a column can be read as.
pub(crate) trait Column<'r>: Sized {
    /// What it is called in an error.
    const NAME: &'static str;

    /// `None` if the value is not of this type.
    fn of(cell: Cell<'r>) -> Option<Self>;
}

impl<'r> Row<'r> {
    /// The value of a column. One that is of another type is an error.
    pub(crate) fn get<T: Column<'r>>(&self, column: usize) -> DatabaseResult<T> {
        let cell = self.cell(column)?;
        T::of(cell).ok_or(DatabaseError::WrongType {
            column,
            expected: T::NAME,
            found: cell.name(),
        })
    }

    fn cell(&self, column: usize) -> DatabaseResult<Cell<'r>> {
        match self {
            Self::Sqlite(row) => Ok(match row.get_ref(column)? {
                ValueRef::Null => Cell::Null,
                ValueRef::Integer(value) => Cell::Int(value),
                ValueRef::Real(_) => Cell::Other("a real number"),
                ValueRef::Text(bytes) => {
                    std::str::from_utf8(bytes).map_or(Cell::Other("not UTF-8"), Cell::Text)
                }
                ValueRef::Blob(bytes) => Cell::Bytes(bytes),
            }),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }
}

impl<'r> FromSql<'r> for Cell<'r> {
    fn from_sql(column: &Type, bytes: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(match *column {
            Type::INT8 => Self::Int(i64::from_sql(column, bytes)?),
            Type::INT4 => Self::Int(i32::from_sql(column, bytes)?.into()),
            Type::TEXT | Type::VARCHAR | Type::NAME => {
                std::str::from_utf8(bytes).map_or(Self::Other("not UTF-8"), Self::Text)
            }
            Type::BYTEA => Self::Bytes(bytes),
            _ => Self::Other("a value of another type"),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Cell<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Int(_) => "a number",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::Other(name) => name,
        }
    }
}

macro_rules! integer_columns {
    ($($integer:ty),*) => {$(
        impl<'r> Column<'r> for $integer {
            const NAME: &'static str = concat!("a number (", stringify!($integer), ")");

            fn of(cell: Cell<'r>) -> Option<Self> {
                match cell {
                    Cell::Int(value) => value.try_into().ok(),
                    _ => None,
                }
            }
        }
    )*};
}

integer_columns!(u8, i32, u32, i64);

impl<'r> Column<'r> for bool {
    const NAME: &'static str = "a number";

    fn of(cell: Cell<'r>) -> Option<Self> {
        match cell {
            Cell::Int(value) => Some(value != 0),
            _ => None,
        }
    }
}

impl<'r> Column<'r> for &'r str {
    const NAME: &'static str = "a text";

    fn of(cell: Cell<'r>) -> Option<Self> {
        match cell {
            Cell::Text(text) => Some(text),
            // On a server, texts that may have a zero are stored as bytes.
            Cell::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }
}

impl<'r> Column<'r> for String {
    const NAME: &'static str = "a text";

    fn of(cell: Cell<'r>) -> Option<Self> {
        <&str>::of(cell).map(str::to_owned)
    }
}

impl<'r> Column<'r> for &'r [u8] {
    const NAME: &'static str = "bytes";

    fn of(cell: Cell<'r>) -> Option<Self> {
        match cell {
            Cell::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl<'r> Column<'r> for Vec<u8> {
    const NAME: &'static str = "bytes";

    fn of(cell: Cell<'r>) -> Option<Self> {
        <&[u8]>::of(cell).map(<[u8]>::to_vec)
    }
}

impl<'r, const N: usize> Column<'r> for [u8; N] {
    const NAME: &'static str = "bytes of a fixed number";

    fn of(cell: Cell<'r>) -> Option<Self> {
        <&[u8]>::of(cell)?.try_into().ok()
    }
}

impl<'r, T: Column<'r>> Column<'r> for Option<T> {
    const NAME: &'static str = T::NAME;

    fn of(cell: Cell<'r>) -> Option<Self> {
        match cell {
            Cell::Null => Some(None),
            cell => T::of(cell).map(Some),
        }
    }
}
