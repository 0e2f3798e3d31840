//! The text of a statement that stores a row, whether its key is there or not.

/// `upsert!("table" ("key", …) "column", …)`: the statement that stores a row of the table, in the
/// place of the one with the same key. Its values are the key, the columns, and the checksum, with
/// which every table ends.
macro_rules! upsert {
    ($table:literal ($first:literal $(, $key:literal)*) $($column:literal),*) => {
        concat!(
            "INSERT INTO ", $table, " (", $first, $(", ", $key,)* $(", ", $column,)*
            ", checksum) VALUES (?", $($crate::database::upsert::place!($key),)*
            $($crate::database::upsert::place!($column),)* ", ?) ON CONFLICT (", $first,
            $(", ", $key,)* ") DO UPDATE SET ", $($column, " = excluded.", $column, ", ",)*
            "checksum = excluded.checksum"
        )
    };
}

macro_rules! place {
    ($column:literal) => {
        ", ?"
    };
}

pub(crate) use {place, upsert};

#[cfg(test)]
mod tests {
    #[test]
    fn the_statement_replaces_what_has_the_same_key() {
        assert_eq!(
            upsert!("cursors" ("output", "stream") "batch"),
            "INSERT INTO cursors (output, stream, batch, checksum) VALUES (?, ?, ?, ?) \
             ON CONFLICT (output, stream) DO UPDATE SET batch = excluded.batch, \
             checksum = excluded.checksum"
        );
    }
}
