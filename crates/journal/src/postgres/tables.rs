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
    check_rights(&transaction, schema)?;
    transaction.commit().map_err(sql)
}

/// Checks that the user may write, before anything is read from an API.
fn check_rights(conn: &Connection, schema: &str) -> Result<()> {
    let missing: Option<(String, String)> = conn
        .first(
            "SELECT c.relname, r.name FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace
             CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r(name)
             WHERE n.nspname = ? AND c.relkind = 'r' AND NOT has_table_privilege(c.oid, r.name)
             ORDER BY c.relname, r.name LIMIT 1",
            values![schema],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(|source| conn.failed("open", source))?;
    match missing {
        None => Ok(()),
        Some((table, right)) => Err(JournalError::MissingRight {
            journal: conn.location().clone(),
            operation: "write to",
            message: format!("{right} on table {table} is not granted"),
        }),
    }
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
    let may_use: i64 = conn
        .only(
            "SELECT CASE WHEN has_schema_privilege(?, 'USAGE') THEN 1 ELSE 0 END",
            values![schema],
            |row| row.get(0),
        )
        .map_err(|source| conn.failed("open", source))?;
    if may_use == 0 {
        return Err(JournalError::MissingRight {
            journal: journal(),
            operation: "open",
            message: "USAGE on the schema is not granted".to_owned(),
        });
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
