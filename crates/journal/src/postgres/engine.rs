//! A connection to PostgreSQL as a database: statements and transactions.

use std::cell::{Cell as StdCell, RefCell};
use std::collections::HashMap;
use std::fmt;

use tokio_postgres::Statement;

use crate::database::error::{DatabaseError, DatabaseResult};
use crate::database::row::Row;
use crate::database::value::Value;
use crate::postgres::client::Client;

/// The most statements that are kept prepared.
const PREPARED: usize = 256;

/// The payload of a notification that leases are free.
pub(crate) const RELEASED: &str = "released";

/// A connection to a server.
pub(crate) struct Postgres {
    /// `None` only while this is dropped.
    client: RefCell<Option<Client>>,
    /// The prepared statements, each by its text.
    statements: RefCell<HashMap<String, Statement>>,
    /// Whether a statement of the open transaction has failed: then nothing of it is stored, and
    /// the server would answer `COMMIT` without an error.
    has_failed: StdCell<bool>,
}

impl Postgres {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client: RefCell::new(Some(client)),
            statements: RefCell::default(),
            has_failed: StdCell::new(false),
        }
    }

    /// Whether the connection is lost, as far as this end has heard of it.
    pub(crate) fn is_closed(&self) -> bool {
        let Ok(mut client) = self.client.try_borrow_mut() else {
            return false;
        };
        client.as_mut().is_none_or(Client::is_closed)
    }

    /// Uses the connection. A failure is remembered for the end of the transaction.
    fn with<T>(&self, run: impl FnOnce(&mut Client) -> DatabaseResult<T>) -> DatabaseResult<T> {
        let mut client = self
            .client
            .try_borrow_mut()
            .map_err(|_| DatabaseError::Nested)?;
        let done = client.as_mut().ok_or(DatabaseError::Nested).and_then(run);
        if done.is_err() {
            self.has_failed.set(true);
        }
        done
    }

    fn prepare(&self, client: &mut Client, sql: &str) -> DatabaseResult<Statement> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = client.prepare(&numbered(sql))?;
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= PREPARED {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(crate) fn execute(&self, sql: &str, values: &[Value<'_>]) -> DatabaseResult<u64> {
        self.with(|client| {
            let statement = self.prepare(client, sql)?;
            let values: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
                values.iter().map(|value| value as _).collect();
            client.execute(&statement, &values)
        })
    }

    pub(crate) fn for_each<E: From<DatabaseError>>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut stopped = None;
        self.with(|client| {
            let statement = self.prepare(client, sql)?;
            client.query(&statement, values, |row| {
                stopped = each(&Row::Postgres(row)).err();
                stopped.is_none()
            })
        })?;
        stopped.map_or(Ok(()), Err)
    }

    pub(crate) fn first<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> DatabaseResult<T>,
    ) -> DatabaseResult<Option<T>> {
        let row = self.with(|client| {
            let statement = self.prepare(client, sql)?;
            client.first(&statement, values)
        })?;
        row.map(|row| read(&Row::Postgres(&row))).transpose()
    }

    /// Runs statements without values.
    pub(crate) fn run(&self, sql: &str) -> DatabaseResult<()> {
        self.with(|client| client.batch_execute(sql))
    }

    pub(crate) fn begin(&self, sql: &str) -> DatabaseResult<()> {
        self.has_failed.set(false);
        self.run(sql)
    }

    pub(crate) fn commit(&self) -> DatabaseResult<()> {
        if self.has_failed.get() {
            return Err(DatabaseError::RolledBack);
        }
        self.run("COMMIT")
    }

    /// Waits for a notification, but not longer than `time`. True if one says [`RELEASED`].
    pub(crate) fn wait(&self, time: std::time::Duration) -> DatabaseResult<bool> {
        let heard = self.with(|client| client.notifications(time))?;
        Ok(heard.iter().any(|payload| payload == RELEASED))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The client waits for its connection to close. It must not do so in a task of an
        // asynchronous runtime, where the last handle of a journal may be dropped.
        if tokio::runtime::Handle::try_current().is_ok()
            && let Some(client) = self.client.take()
        {
            let close = std::thread::Builder::new().spawn(move || drop(client));
            if let Err(error) = close {
                tracing::debug!(%error, "cannot start a thread that closes a connection");
            }
        }
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

/// A statement with `?` and `?1` as PostgreSQL numbers them, and without what only SQLite reads.
fn numbered(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len() + 16);
    let mut next = 0_u32;
    let mut rest = sql.chars().peekable();
    while let Some(char) = rest.next() {
        if char != '?' {
            text.push(char);
            continue;
        }
        text.push('$');
        if rest.peek().is_some_and(char::is_ascii_digit) {
            continue;
        }
        next += 1;
        text.push_str(&next.to_string());
    }
    text.replace(" NOT INDEXED", "")
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn places_of_values_are_numbered() {
        assert_eq!(
            numbered("SELECT a FROM t NOT INDEXED WHERE b = ? AND c = ?"),
            "SELECT a FROM t WHERE b = $1 AND c = $2"
        );
        assert_eq!(numbered("?2 IS NULL OR a = ?2"), "$2 IS NULL OR a = $2");
    }
}
