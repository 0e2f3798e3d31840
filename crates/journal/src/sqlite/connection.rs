//! Opens SQLite connections with the settings of the journal.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;

use crate::database::connection::{Connection, Engine};
use crate::database::value::values;
use crate::error::{JournalError, Result};
use crate::location::Location;
use crate::sqlite::engine::Sqlite;
use crate::sqlite::format::{self, Migration};

/// How long a connection waits for a lock that another holds (checkpoint, recovery).
const BUSY: Duration = Duration::from_secs(10);

/// Opens the connection that writes; creates the file if it does not exist.
/// `migrate` converts the rows of a journal of the previous format.
pub(crate) fn writer(
    path: &Path,
    page_limit: Option<u32>,
    migrate: Migration,
) -> Result<Connection> {
    // Created here to set its mode: the journal has personal data. SQLite copies the mode to the
    // files beside it.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| JournalError::io(path, "open", source))?;
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    format::prepare(&conn, migrate)?;
    let sql = |source| conn.failed("open", source);
    let mode: String = conn
        .only("PRAGMA journal_mode = WAL", values![], |row| row.get(0))
        .map_err(sql)?;
    if mode != "wal" {
        return Err(conn.corrupt(format!(
            "its file system does not support a write-ahead log (journal mode {mode})"
        )));
    }
    // Checkpoints run between commits, so that a commit writes only the write-ahead log.
    conn.run(
        "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 67108864",
    )
    .map_err(sql)?;
    if let Some(pages) = page_limit {
        conn.run(&format!("PRAGMA max_page_count = {pages}"))
            .map_err(sql)?;
    }
    Ok(conn)
}

/// Opens a connection that only reads.
pub(crate) fn reader(path: &Path) -> Result<Connection> {
    if !path
        .try_exists()
        .map_err(|source| JournalError::io(path, "open", source))?
    {
        return Err(JournalError::Missing {
            journal: path.into(),
        });
    }
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    format::check(&conn)?;
    Ok(conn)
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection> {
    let location = Location::from(path);
    let open = || -> rusqlite::Result<rusqlite::Connection> {
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = rusqlite::Connection::open_with_flags(path, flags)?;
        common(&conn)?;
        Ok(conn)
    };
    match open() {
        Ok(conn) => Ok(Connection::new(Engine::Sqlite(Sqlite::new(conn)), location)),
        Err(source) => Err(JournalError::database(&location, "open", source.into())),
    }
}

fn common(conn: &rusqlite::Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY)?;
    // Otherwise SQLite prepares most statements again at each use, because a bound value might
    // change the plan.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update(None, "temp_store", "MEMORY")
}
