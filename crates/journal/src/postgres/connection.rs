//! Connects to a server, with the settings of the journal.

use crate::database::connection::{Connection, Engine};
use crate::database::error::DatabaseError;
use crate::database::value::values;
use crate::ending::Ending;
use crate::error::{JournalError, Result};
use crate::location::Location;
use crate::postgres::client::Client;
use crate::postgres::engine::Postgres;
use crate::postgres::hosts::Hosts;
use crate::postgres::settings::PostgresJournal;
use crate::postgres::tables;
use crate::postgres::tls::Connector;

/// The oldest server that is supported.
const OLDEST: i64 = 13;

/// Opens the connection that writes; creates what does not exist.
pub(crate) fn writer(journal: &PostgresJournal, ending: &Ending) -> Result<Connection> {
    let conn = connect(journal, ending, Use::Write)?;
    tables::prepare(&conn, &journal.schema)?;
    Ok(conn)
}

/// Opens another connection that writes, to a journal that was open already.
pub(crate) fn writer_again(journal: &PostgresJournal, ending: &Ending) -> Result<Connection> {
    let conn = connect(journal, ending, Use::Write)?;
    tables::check(&conn, &journal.schema)?;
    Ok(conn)
}

/// Opens a connection that only reads. A standby answers it, too.
pub(crate) fn reader(journal: &PostgresJournal, ending: &Ending) -> Result<Connection> {
    let conn = connect(journal, ending, Use::Read)?;
    tables::check(&conn, &journal.schema)?;
    Ok(conn)
}

/// Opens a connection that is told of every append.
pub(crate) fn listener(journal: &PostgresJournal, ending: &Ending) -> Result<Connection> {
    let conn = connect(journal, ending, Use::Read)?;
    conn.run(&format!("LISTEN \"{}\"", conn.location().channel()))
        .map_err(|source| conn.failed("follow", source))?;
    Ok(conn)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Read,
    Write,
}

fn connect(journal: &PostgresJournal, ending: &Ending, to: Use) -> Result<Connection> {
    let config = journal.config()?;
    let location = journal.location(&config);
    let connector = Connector::new(journal.tls, journal.ca_file.as_deref()).map_err(|source| {
        JournalError::CaFile {
            journal: location.clone(),
            source,
        }
    })?;
    let hosts = Hosts::new(&config, journal.connect_timeout);
    let client = Client::connect(&hosts, &connector, journal.answer_timeout, ending.clone())
        .map_err(|source| JournalError::database(&location, "connect to", source))?;
    let conn = Connection::new(Engine::Postgres(Box::new(Postgres::new(client))), location);
    check_server(&conn, to)?;
    // Nothing but the journal's own tables is found by a name without a schema. A process that
    // hangs in a transaction, or whose machine is gone, must not keep others from writing.
    let settings = match to {
        Use::Read => "SET default_transaction_read_only = on",
        Use::Write => {
            "SET idle_in_transaction_session_timeout = '10s'; SET lock_timeout = '20s'; \
             SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; \
             SET tcp_keepalives_count = 3"
        }
    };
    conn.run(&format!(
        "SET search_path TO \"{}\"; SET statement_timeout = 0; {settings}",
        journal.schema
    ))
    .map_err(|source| conn.failed("open", source))?;
    Ok(conn)
}

/// What a server says about itself.
struct Server {
    /// Such as 150004.
    version: i64,
    version_name: String,
    encoding: String,
    is_standby: bool,
}

/// Checks what the server is, before anything is asked of it.
fn check_server(conn: &Connection, to: Use) -> Result<()> {
    let server = conn
        .only(
            "SELECT current_setting('server_version_num')::bigint, current_setting('server_version'),
             (SELECT pg_encoding_to_char(encoding)::text FROM pg_database WHERE datname = current_database()),
             CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END::bigint",
            values![],
            |row| {
                Ok(Server {
                    version: row.get(0)?,
                    version_name: row.get(1)?,
                    encoding: row.get(2)?,
                    is_standby: row.get::<i64>(3)? != 0,
                })
            },
        )
        .map_err(|source: DatabaseError| conn.failed("open", source))?;
    server.can(to, conn.location())
}

impl Server {
    fn can(self, to: Use, journal: &Location) -> Result<()> {
        let journal = journal.clone();
        if self.version < OLDEST * 10_000 {
            return Err(JournalError::ServerVersion {
                journal,
                found: self.version_name,
                oldest: OLDEST,
            });
        }
        if self.encoding != "UTF8" {
            return Err(JournalError::Encoding {
                journal,
                found: self.encoding,
            });
        }
        if self.is_standby && to == Use::Write {
            return Err(JournalError::Standby { journal });
        }
        Ok(())
    }
}

/// Checks that two open connections are two sessions of the server. Behind a pooler that gives
/// each transaction another connection, settings, prepared statements and notifications of one
/// session get lost in another.
pub(crate) fn check_sessions(one: &Connection, other: &Connection) -> Result<()> {
    if session(one)? == session(other)? {
        return Err(JournalError::Pooled {
            journal: one.location().clone(),
        });
    }
    Ok(())
}

/// The process of the server that serves a connection, and when the server was started: a URL may
/// name several servers.
fn session(conn: &Connection) -> Result<(i64, String)> {
    conn.only(
        "SELECT pg_backend_pid()::bigint, pg_postmaster_start_time()::text",
        values![],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
    .map_err(|source| conn.failed("open", source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_refused() {
        let server = |version, name: &str| Server {
            version,
            version_name: name.to_owned(),
            encoding: "UTF8".to_owned(),
            is_standby: false,
        };
        let url = "postgres://callmeter@db/calls";
        let journal = PostgresJournal::new(url).check().unwrap();
        for to in [Use::Read, Use::Write] {
            let error = server(120_022, "12.22").can(to, &journal).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the server of journal postgres://db:5432/calls, schema callmeter is PostgreSQL \
                 12.22: use version 13 or later"
            );
            server(130_000, "13.0").can(to, &journal).unwrap();
        }
    }
}
