//! Connects to a server, with the settings of the journal.

use crate::database::connection::{Connection, Engine};
use crate::database::error::DatabaseError;
use crate::database::value::values;
use crate::ending::Ending;
use crate::error::{JournalError, Result};
use crate::postgres::client::Client;
use crate::postgres::engine::Postgres;
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
    // Each host gets the time for its address, and all together that for the rest.
    let hosts = u32::try_from(config.get_hosts().len()).unwrap_or(u32::MAX);
    let limit = journal
        .connect_timeout
        .saturating_mul(hosts.saturating_add(1));
    let limits = (limit, journal.answer_timeout);
    let client = Client::connect(&config, connector, limits, ending.clone())
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

/// Checks what the server is, before anything is asked of it.
fn check_server(conn: &Connection, to: Use) -> Result<()> {
    let (version, name, encoding, is_standby): (i64, String, String, i64) = conn
        .only(
            "SELECT current_setting('server_version_num')::bigint, current_setting('server_version'),
             (SELECT pg_encoding_to_char(encoding)::text FROM pg_database WHERE datname = current_database()),
             CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END",
            values![],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .map_err(|source: DatabaseError| conn.failed("open", source))?;
    let journal = || conn.location().clone();
    if version < OLDEST * 10_000 {
        return Err(JournalError::ServerVersion {
            journal: journal(),
            found: name,
            oldest: OLDEST,
        });
    }
    if encoding != "UTF8" {
        return Err(JournalError::Encoding {
            journal: journal(),
            found: encoding,
        });
    }
    if is_standby != 0 && to == Use::Write {
        return Err(JournalError::Standby { journal: journal() });
    }
    Ok(())
}
