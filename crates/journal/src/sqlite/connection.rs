//! Opens SQLite connections with the settings of the journal.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{JournalError, Result};
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
    let sql = |source| JournalError::sqlite(path, "open", source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(path, flags).map_err(sql)?;
    common(&conn).map_err(sql)?;
    format::prepare(&mut conn, path, migrate)?;
    let mode: String = conn
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(sql)?;
    if mode != "wal" {
        return Err(JournalError::corrupt(
            path,
            format!("its file system does not support a write-ahead log (journal mode {mode})"),
        ));
    }
    conn.pragma_update(None, "synchronous", "FULL")
        .map_err(sql)?;
    // Checkpoints run between commits, so that a commit writes only the write-ahead log.
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

/// Opens a connection that only reads.
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
    // Otherwise SQLite prepares most statements again at each use, because a bound value might
    // change the plan.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(64);
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update(None, "temp_store", "MEMORY")
}

/// Bytes of the pages that are in use.
pub(crate) fn used_bytes(conn: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name: &str| -> rusqlite::Result<i64> {
        conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
    };
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok(pages.saturating_mul(pragma("page_size")?).cast_unsigned())
}
