//! The format of the file: its version, its tables, and its head row.

use std::path::Path;
use std::sync::OnceLock;

use callmeter_records::Stream;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::error::{JournalError, Result};
use crate::sqlite::checksum::RowChecksum;

/// The format that this program writes. A journal of an older format is migrated when it is opened
/// for writing; a test opens a file of each format in `testdata/`.
pub(crate) const VERSION: i64 = 5;

/// The tables and indices of format 1.
const FORMAT_1: &str = include_str!("v1.sql");
/// Those that the later formats add.
const FORMAT_2: &str = include_str!("v2.sql");
const FORMAT_3: &str = include_str!("v3.sql");
const FORMAT_4: &str = include_str!("v4.sql");

/// Converts the rows of a journal of format 1, whose tables are those of format 2 already. Later
/// formats change no row.
pub(crate) type Migration = fn(&Transaction<'_>, &Path) -> Result<()>;

/// The id of the application in the file of a journal: `PRAGMA application_id`, "cmjl".
pub const APPLICATION_ID: u32 = 0x636d_6a6c;
const APPLICATION: i64 = APPLICATION_ID as i64;

/// Creates the tables in an empty database, and migrates a journal of an older format; checks the
/// format of any other.
pub(crate) fn prepare(conn: &mut Connection, path: &Path, migrate: Migration) -> Result<()> {
    let sql = |source| JournalError::sqlite(path, "open", source);
    let tables: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sql)?;
    if tables == 0 && application(conn).map_err(sql)? == 0 {
        return create(conn).map_err(sql);
    }
    let from = version(conn).map_err(sql)?;
    if application(conn).map_err(sql)? == APPLICATION && (1..VERSION).contains(&from) {
        let definitions: &[&str] = match from {
            1 => &[FORMAT_1],
            2 => &[FORMAT_1, FORMAT_2],
            3 => &[FORMAT_1, FORMAT_2, FORMAT_3],
            _ => &[FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4],
        };
        check_schema(conn, path, &expected_schema(definitions).map_err(sql)?)?;
        let transaction = conn.transaction().map_err(sql)?;
        if from == 1 {
            transaction.execute_batch(FORMAT_2).map_err(sql)?;
            migrate(&transaction, path)?;
        }
        if from <= 2 {
            transaction.execute_batch(FORMAT_3).map_err(sql)?;
        }
        if from <= 3 {
            transaction.execute_batch(FORMAT_4).map_err(sql)?;
            // The stream that format 4 adds.
            write_stream(&transaction, Stream::Charges, 1).map_err(sql)?;
        }
        // Format 5 has the same tables. New batches are packed in another way; old ones stay.
        transaction
            .pragma_update(None, "user_version", VERSION)
            .map_err(sql)?;
        transaction.commit().map_err(sql)?;
        tracing::info!(journal = %path.display(), from, to = VERSION, "journal converted to a new format");
    }
    check(conn, path)
}

/// Checks that the database is a journal with a format that this program reads.
pub(crate) fn check(conn: &Connection, path: &Path) -> Result<()> {
    let sql = |source| JournalError::sqlite(path, "open", source);
    if application(conn).map_err(sql)? != APPLICATION {
        return Err(JournalError::NotAJournal {
            path: path.to_owned(),
        });
    }
    match version(conn).map_err(sql)? {
        VERSION => check_schema(conn, path, current_schema().map_err(sql)?),
        found @ 1..VERSION => Err(JournalError::OlderFormat {
            path: path.to_owned(),
            found,
        }),
        found if found > VERSION => Err(JournalError::NewerFormat {
            path: path.to_owned(),
            found,
            supported: VERSION,
        }),
        found => Err(JournalError::corrupt(
            path,
            format!("its format {found} does not exist"),
        )),
    }
}

fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Checks that every table and index is defined as `expected`. A damaged definition may still be
/// valid SQL that reads an intact table as empty, and SQLite's own checks do not find that.
///
/// Other tables and indices are ignored: an operator may have run `ANALYZE` or added an index.
fn check_schema(conn: &Connection, path: &Path, expected: &[SchemaObject]) -> Result<()> {
    let sql = |source| JournalError::sqlite(path, "open", source);
    let found = schema_objects(conn).map_err(sql)?;
    match expected.iter().find(|object| !found.contains(object)) {
        None => Ok(()),
        Some((kind, name, ..)) => Err(JournalError::corrupt(
            path,
            format!("the definition of {kind} `{name}` is missing or changed"),
        )),
    }
}

/// What SQLite stores for the tables and indices of [`VERSION`].
fn current_schema() -> rusqlite::Result<&'static [SchemaObject]> {
    static CURRENT: OnceLock<Vec<SchemaObject>> = OnceLock::new();
    if let Some(current) = CURRENT.get() {
        return Ok(current);
    }
    let current = expected_schema(&[FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4])?;
    Ok(CURRENT.get_or_init(|| current))
}

fn expected_schema(definitions: &[&str]) -> rusqlite::Result<Vec<SchemaObject>> {
    let sample = Connection::open_in_memory()?;
    for definition in definitions {
        sample.execute_batch(definition)?;
    }
    schema_objects(&sample)
}

/// Type, name, table and SQL of a table or index.
type SchemaObject = (String, String, String, Option<String>);

fn schema_objects(conn: &Connection) -> rusqlite::Result<Vec<SchemaObject>> {
    conn.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema")?
        .query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect()
}

fn application(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA application_id", [], |row| row.get(0))
}

fn create(conn: &mut Connection) -> rusqlite::Result<()> {
    // Lets retention return free pages to the file system. Must come before the first table,
    // outside a transaction.
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    let transaction = conn.transaction()?;
    transaction.execute_batch(FORMAT_1)?;
    transaction.execute_batch(FORMAT_2)?;
    transaction.execute_batch(FORMAT_3)?;
    transaction.execute_batch(FORMAT_4)?;
    let id: [u8; 8] = transaction.query_row("SELECT randomblob(8)", [], |row| row.get(0))?;
    write_head(&transaction, id, 1)?;
    for stream in Stream::ALL {
        write_stream(&transaction, stream, 1)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Stores the journal's id and the number of its next batch.
pub(crate) fn write_head(conn: &Connection, id: [u8; 8], next_batch: i64) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT OR REPLACE INTO journal (one, id, next_batch, checksum) VALUES (1, ?, ?, ?)",
    )?
    .execute(params![id, next_batch, head_checksum(id, next_batch)])?;
    Ok(())
}

/// The journal's id and the number of its next batch.
pub(crate) fn read_head(conn: &Connection, path: &Path) -> Result<([u8; 8], i64)> {
    let (id, next_batch, checksum): ([u8; 8], i64, i64) = conn
        .prepare_cached("SELECT id, next_batch, checksum FROM journal")
        .and_then(|mut statement| {
            statement
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()
        })
        .map_err(|source| JournalError::sqlite(path, "read", source))?
        .ok_or_else(|| JournalError::corrupt(path, "its head row is missing"))?;
    if checksum != head_checksum(id, next_batch) || next_batch < 1 {
        return Err(JournalError::corrupt(
            path,
            "its head row does not match its checksum",
        ));
    }
    Ok((id, next_batch))
}

fn head_checksum(id: [u8; 8], next_batch: i64) -> i64 {
    RowChecksum::of("journal")
        .int(i64::from_le_bytes(id))
        .int(next_batch)
        .finish()
}

/// Stores the sequence of a stream's next record.
pub(crate) fn write_stream(
    conn: &Connection,
    stream: Stream,
    next_sequence: i64,
) -> rusqlite::Result<()> {
    conn.prepare_cached(
        "INSERT OR REPLACE INTO streams (stream, next_sequence, checksum) VALUES (?, ?, ?)",
    )?
    .execute(params![
        stream.code(),
        next_sequence,
        stream_checksum(stream, next_sequence)
    ])?;
    Ok(())
}

/// The sequence of a stream's next record.
pub(crate) fn read_stream(conn: &Connection, path: &Path, stream: Stream) -> Result<i64> {
    let (next_sequence, checksum): (i64, i64) = conn
        .prepare_cached("SELECT next_sequence, checksum FROM streams WHERE stream = ?")
        .and_then(|mut statement| {
            statement
                .query_row([stream.code()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .map_err(|source| JournalError::sqlite(path, "read", source))?
        .ok_or_else(|| {
            JournalError::corrupt(
                path,
                format!("the next sequence of stream {stream} is missing"),
            )
        })?;
    if checksum != stream_checksum(stream, next_sequence) {
        return Err(JournalError::corrupt(
            path,
            format!("the next sequence of stream {stream} does not match its checksum"),
        ));
    }
    Ok(next_sequence)
}

fn stream_checksum(stream: Stream, next_sequence: i64) -> i64 {
    RowChecksum::of("streams")
        .int(stream.code().into())
        .int(next_sequence)
        .finish()
}
