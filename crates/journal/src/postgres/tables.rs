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
        check_database(&transaction)?;
        transaction
            .run(&format!("CREATE SCHEMA \"{schema}\""))
            .map_err(sql)?;
    }
    if tables(&transaction, schema)?.is_empty() {
        check_schema(&transaction, schema, &["USAGE", "CREATE"])?;
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
    let missing: Option<(String, String, String, String)> = conn
        .first(
            "SELECT quote_ident(current_user::text), quote_ident(n.nspname::text), c.relname, r.name
             FROM pg_class c
             JOIN pg_namespace n ON n.oid = c.relnamespace
             CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r(name)
             WHERE n.nspname = ? AND c.relkind = 'r' AND NOT has_table_privilege(c.oid, r.name)
             ORDER BY c.relname, r.name LIMIT 1",
            values![schema],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .map_err(|source| conn.failed("open", source))?;
    let Some((user, schema, table, right)) = missing else {
        return Ok(());
    };
    let rights = "SELECT, INSERT, UPDATE, DELETE";
    Err(JournalError::NotGranted {
        journal: conn.location().clone(),
        right,
        on: format!("table {table}"),
        grant: format!("GRANT {rights} ON ALL TABLES IN SCHEMA {schema} TO {user}"),
        user,
    })
}

/// Checks that the user may create the schema.
fn check_database(conn: &Connection) -> Result<()> {
    let (user, database, may_create): (String, String, i64) = conn
        .only(
            "SELECT quote_ident(current_user::text), quote_ident(current_database()::text),
             CASE WHEN has_database_privilege(current_database(), 'CREATE') THEN 1 ELSE 0 END::bigint",
            values![],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .map_err(|source| conn.failed("open", source))?;
    if may_create != 0 {
        return Ok(());
    }
    Err(JournalError::NotGranted {
        journal: conn.location().clone(),
        right: "CREATE".to_owned(),
        on: format!("database {database}, which the first start needs to make the schema"),
        grant: format!("GRANT CREATE ON DATABASE {database} TO {user}"),
        user,
    })
}

/// Checks the user's rights on the schema. Without them, a server says only that it finds no table,
/// or no schema.
fn check_schema(conn: &Connection, schema: &str, rights: &[&str]) -> Result<()> {
    for right in rights {
        let (user, name, owner, has_right): (String, String, String, i64) = conn
            .only(
                "SELECT quote_ident(current_user::text), quote_ident(nspname::text),
                 quote_ident(pg_get_userbyid(nspowner)::text),
                 CASE WHEN has_schema_privilege(oid, ?) THEN 1 ELSE 0 END::bigint
                 FROM pg_namespace WHERE nspname = ?",
                values![*right, schema],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .map_err(|source| conn.failed("open", source))?;
        if has_right == 0 {
            return Err(JournalError::NotGranted {
                journal: conn.location().clone(),
                right: (*right).to_owned(),
                on: format!("schema {name}, which belongs to {owner}"),
                grant: format!("GRANT {} ON SCHEMA {name} TO {user}", rights.join(", ")),
                user,
            });
        }
    }
    Ok(())
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
    check_schema(conn, schema, &["USAGE"])?;
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
