//! Finds the columns of typed rows in a schema, by name and once per schema. A column that the host
//! does not send reads as `None`.

use super::data_type::{DataType, Field};
use super::error::BatchError;

/// A table's entry for a column.
#[derive(Debug, Clone, Copy)]
pub struct Described {
    /// The column's name.
    pub name: &'static str,
    /// The type that the accessor reads.
    pub kind: ColumnKind,
    /// Whether every record has a value.
    pub required: bool,
}

/// The type that an accessor reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ColumnKind {
    Text,
    Int,
    Flag,
    Time,
    Decimal,
    List,
    Struct,
}

/// The places in a schema of the columns of a typed row.
#[derive(Debug)]
pub(crate) struct Resolved(pub(super) Result<Vec<Option<usize>>, BatchError>);

impl Resolved {
    pub(super) fn new(columns: &[Described], fields: &[Field]) -> Self {
        Self(
            columns
                .iter()
                .map(|column| resolve(column, fields))
                .collect(),
        )
    }
}

fn resolve(column: &Described, fields: &[Field]) -> Result<Option<usize>, BatchError> {
    let problem = |problem: String| BatchError::Column {
        name: column.name.to_owned(),
        problem,
    };
    let Some(index) = fields.iter().position(|field| field.name() == column.name) else {
        return if column.required {
            Err(problem("it is missing".to_owned()))
        } else {
            Ok(None)
        };
    };
    let found = fields[index].data_type();
    let fits = match column.kind {
        ColumnKind::Text => matches!(found, DataType::Utf8),
        ColumnKind::Int => matches!(found, DataType::Int32 | DataType::Int64),
        ColumnKind::Flag => matches!(found, DataType::Bool),
        ColumnKind::Time => matches!(found, DataType::Timestamp(_)),
        ColumnKind::Decimal => matches!(found, DataType::Decimal128 { .. }),
        ColumnKind::List => matches!(found, DataType::List(_)),
        ColumnKind::Struct => matches!(found, DataType::Struct(_)),
    };
    if fits {
        Ok(Some(index))
    } else {
        Err(problem(format!(
            "it is {found:?}, and {:?} is expected",
            column.kind
        )))
    }
}
