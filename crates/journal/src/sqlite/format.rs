//! The format of the file: its version and its tables.

use std::sync::OnceLock;

use callmeter_records::Stream;
use rusqlite::Connection as SqliteConnection;

use crate::database::connection::{Access, Connection};
use crate::database::error::DatabaseResult;
use crate::database::value::values;
use crate::error::{JournalError, Result};
use crate::log::head::{self, write_stream};

/// The format that this program writes. A journal of an older format is migrated when it is opened
/// for writing; a test opens a file of each format in `testdata/`.
const VERSION: i64 = head::FORMAT;

/// The tables and indices of format 1.
const FORMAT_1: &str = include_str!("v1.sql");
/// Those that the later formats add.
const FORMAT_2: &str = include_str!("v2.sql");
const FORMAT_3: &str = include_str!("v3.sql");
const FORMAT_4: &str = include_str!("v4.sql");

/// Converts the rows of a journal of format 1, whose tables are those of format 2 already. Later
/// formats change no row.
pub(crate) type Migration = fn(&Connection) -> Result<()>;

/// The id of the application in the file of a journal: `PRAGMA application_id`, "cmjl".
pub const APPLICATION_ID: u32 = 0x636d_6a6c;
const APPLICATION: i64 = APPLICATION_ID as i64;

/// Creates the tables in an empty database, and migrates a journal of an older format; checks the
/// format of any other.
pub(crate) fn prepare(conn: &Connection, migrate: Migration) -> Result<()> {
    let sql = |source| conn.failed("open", source);
    let tables: i64 = conn
        .only("SELECT count(*) FROM sqlite_schema", values![], |row| {
            row.get(0)
        })
        .map_err(sql)?;
    if tables == 0 && pragma(conn, "application_id").map_err(sql)? == 0 {
        return create(conn).map_err(sql);
    }
    let from = pragma(conn, "user_version").map_err(sql)?;
    let application = pragma(conn, "application_id").map_err(sql)?;
    if application == APPLICATION && (1..VERSION).contains(&from) {
        let definitions: &[&str] = match from {
            1 => &[FORMAT_1],
            2 => &[FORMAT_1, FORMAT_2],
            3 => &[FORMAT_1, FORMAT_2, FORMAT_3],
            _ => &[FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4],
        };
        check_schema(conn, &expected_schema(definitions).map_err(sql)?)?;
        let transaction = conn.begin(Access::Write).map_err(sql)?;
        if from == 1 {
            transaction.run(FORMAT_2).map_err(sql)?;
            migrate(&transaction)?;
        }
        if from <= 2 {
            transaction.run(FORMAT_3).map_err(sql)?;
        }
        if from <= 3 {
            transaction.run(FORMAT_4).map_err(sql)?;
            // The stream that format 4 adds.
            write_stream(&transaction, Stream::Charges, 1).map_err(sql)?;
        }
        // Format 5 has the same tables. New batches are packed in another way; old ones stay.
        set_pragma(&transaction, "user_version", VERSION).map_err(sql)?;
        transaction.commit().map_err(sql)?;
        tracing::info!(journal = %conn.location(), from, to = VERSION, "journal converted to a new format");
    }
    check(conn)
}

/// Checks that the database is a journal with a format that this program reads.
pub(crate) fn check(conn: &Connection) -> Result<()> {
    let sql = |source| conn.failed("open", source);
    let journal = || conn.location().clone();
    if pragma(conn, "application_id").map_err(sql)? != APPLICATION {
        return Err(JournalError::NotAJournal { journal: journal() });
    }
    match pragma(conn, "user_version").map_err(sql)? {
        VERSION => check_schema(conn, current_schema().map_err(sql)?),
        found @ 1..VERSION => Err(JournalError::OlderFormat {
            journal: journal(),
            found,
        }),
        found if found > VERSION => Err(JournalError::NewerFormat {
            journal: journal(),
            found,
            supported: VERSION,
        }),
        found => Err(conn.corrupt(format!("its format {found} does not exist"))),
    }
}

fn pragma(conn: &Connection, name: &str) -> DatabaseResult<i64> {
    conn.only(&format!("PRAGMA {name}"), values![], |row| row.get(0))
}

fn set_pragma(conn: &Connection, name: &str, value: i64) -> DatabaseResult<()> {
    conn.run(&format!("PRAGMA {name} = {value}"))
}

/// Checks that every table and index is defined as `expected`. A damaged definition may still be
/// valid SQL that reads an intact table as empty, and SQLite's own checks do not find that.
///
/// Other tables and indices are ignored: an operator may have run `ANALYZE` or added an index.
fn check_schema(conn: &Connection, expected: &[SchemaObject]) -> Result<()> {
    let found = conn
        .all(SCHEMA_OBJECTS, values![], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .map_err(|source| conn.failed("open", source))?;
    match expected.iter().find(|object| !found.contains(object)) {
        None => Ok(()),
        Some((kind, name, ..)) => Err(conn.corrupt(format!(
            "the definition of {kind} `{name}` is missing or changed"
        ))),
    }
}

/// What SQLite stores for the tables and indices of [`VERSION`].
fn current_schema() -> DatabaseResult<&'static [SchemaObject]> {
    static CURRENT: OnceLock<Vec<SchemaObject>> = OnceLock::new();
    if let Some(current) = CURRENT.get() {
        return Ok(current);
    }
    let current = expected_schema(&[FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4])?;
    Ok(CURRENT.get_or_init(|| current))
}

fn expected_schema(definitions: &[&str]) -> DatabaseResult<Vec<SchemaObject>> {
    let sample = SqliteConnection::open_in_memory()?;
    for definition in definitions {
        sample.execute_batch(definition)?;
    }
    let mut statement = sample.prepare(SCHEMA_OBJECTS)?;
    let objects = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    Ok(objects.collect::<rusqlite::Result<_>>()?)
}

/// Type, name, table and SQL of a table or index.
type SchemaObject = (String, String, String, Option<String>);

const SCHEMA_OBJECTS: &str = "SELECT type, name, tbl_name, sql FROM sqlite_schema";

fn create(conn: &Connection) -> DatabaseResult<()> {
    // Lets retention return free pages to the file system. Must come before the first table,
    // outside a transaction.
    conn.run("PRAGMA auto_vacuum = INCREMENTAL")?;
    let transaction = conn.begin(Access::Write)?;
    for definition in [FORMAT_1, FORMAT_2, FORMAT_3, FORMAT_4] {
        transaction.run(definition)?;
    }
    head::write_first(&transaction)?;
    set_pragma(&transaction, "application_id", APPLICATION)?;
    set_pragma(&transaction, "user_version", VERSION)?;
    transaction.commit()
}
