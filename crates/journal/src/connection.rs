//! SQLite connections, set up as the journal needs them.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{JournalError, Result};
use crate::format;

/// How long a reader waits while the writer swaps files (checkpoint, recovery).
const BUSY: Duration = Duration::from_secs(10);

/// The one connection that writes; makes the file where there is none.
pub(crate) fn writer(path: &Path, page_limit: Option<u32>) -> Result<Connection> {
    // Made here for its mode: the journal holds personal data. SQLite gives its side files the same.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| JournalError::io(path, "open", source))?;
    let sql = |source| JournalError::sqlite(path, "open", source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(path, flags).map_err(sql)?;
    common(&conn).map_err(sql)?;
    format::prepare(&mut conn, path)?;
    let mode: String = conn
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(sql)?;
    if mode != "wal" {
        return Err(JournalError::corrupt(
            path,
            format!("its file system allows no write-ahead log ({mode})"),
        ));
    }
    conn.pragma_update(None, "synchronous", "FULL")
        .map_err(sql)?;
    // Checkpoints are taken between commits, by name: a commit then writes nothing but the log.
    conn.pragma_update(None, "wal_autocheckpoint", 0)
        .map_err(sql)?;
    conn.pragma_update(None, "journal_size_limit", 64 << 20)
        .map_err(sql)?;
    if let Some(pages) = page_limit {
        conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
            .map_err(sql)?;
    }
    Ok(conn)
}

/// A connection that only reads; it sees what is committed, in whole transactions.
pub(crate) fn reader(path: &Path) -> Result<Connection> {
    if !path
        .try_exists()
        .map_err(|source| JournalError::io(path, "open", source))?
    {
        return Err(JournalError::Missing {
            path: path.to_owned(),
        });
    }
    let sql = |source| JournalError::sqlite(path, "open", source);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(sql)?;
    common(&conn).map_err(sql)?;
    format::check(&conn, path)?;
    Ok(conn)
}

fn common(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY)?;
    // Without it SQLite plans a statement anew whenever a bound value might change the plan: at each use of most.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update(None, "temp_store", "MEMORY")
}
