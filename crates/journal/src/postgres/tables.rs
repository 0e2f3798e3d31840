//! The tables of a journal on a server: creates them, and checks that they are the journal's.

use crate::database::connection::{Access, Connection};
use crate::database::value::values;
use crate::error::{JournalError, Result};
use crate::log::head::{self, FORMAT};

const TABLES: &str = include_str!("tables.sql");

/// Creates the schema and its tables if the schema is not there or empty; checks them otherwise.
pub(crate) fn prepare(conn: &Connection, schema: &str) -> Result<()> {
    let sql = |source| conn.failed("create", source);
    // Two instances that start at once: the second one waits, and finds the tables.
    let transaction = conn.begin(Access::Write).map_err(sql)?;
    transaction
        .first(
            "SELECT pg_advisory_xact_lock(hashtext('callmeter'), hashtext(?))::text",
            values![schema],
            |_| Ok(()),
        )
        .map_err(sql)?;
    if !exists(&transaction, schema)? {
        transaction
            .run(&format!("CREATE SCHEMA \"{schema}\""))
            .map_err(sql)?;
    }
    if tables(&transaction, schema)?.is_empty() {
        transaction.run(TABLES).map_err(sql)?;
        transaction
            .execute(
                "INSERT INTO callmeter_journal (one, format) VALUES (1, ?)",
                values![FORMAT],
            )
            .map_err(sql)?;
        head::write_first(&transaction).map_err(sql)?;
    }
    check(&transaction, schema)?;
    transaction.commit().map_err(sql)
}

/// Checks that the schema is a journal with a format that this program reads.
pub(crate) fn check(conn: &Connection, schema: &str) -> Result<()> {
    let journal = || conn.location().clone();
    let found = tables(conn, schema)?;
    if found.is_empty() {
        return Err(JournalError::Missing { journal: journal() });
    }
    if !found.iter().any(|table| table == "callmeter_journal") {
        return Err(JournalError::ForeignSchema { journal: journal() });
    }
    let format: i64 = conn
        .first("SELECT format FROM callmeter_journal", values![], |row| {
            row.get(0)
        })
        .map_err(|source| conn.failed("open", source))?
        .ok_or_else(|| conn.corrupt("the row that has its format is missing"))?;
    match format {
        FORMAT => {}
        found if found > FORMAT => {
            return Err(JournalError::NewerFormat {
                journal: journal(),
                found,
                supported: FORMAT,
            });
        }
        found => {
            return Err(JournalError::OlderFormat {
                journal: journal(),
                found,
            });
        }
    }
    let named = TABLES
        .lines()
        .filter_map(|line| line.strip_prefix("CREATE TABLE ")?.split(' ').next());
    for table in named {
        if !found.iter().any(|found| found == table) {
            return Err(conn.corrupt(format!("table `{table}` is missing")));
        }
    }
    Ok(())
}

fn exists(conn: &Connection, schema: &str) -> Result<bool> {
    conn.only(
        "SELECT count(*) FROM pg_namespace WHERE nspname = ?",
        values![schema],
        |row| Ok(row.get::<i64>(0)? > 0),
    )
    .map_err(|source| conn.failed("open", source))
}

fn tables(conn: &Connection, schema: &str) -> Result<Vec<String>> {
    conn.all(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = ? AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
        values![schema],
        |row| row.get(0),
    )
    .map_err(|source| conn.failed("open", source))
}
